"""What torch-scatter and torch-cluster change: the same numbers, and the time with each of them over that without.

    pip install --no-build-isolation torch-scatter torch-cluster
    python benchmarks/segments.py --threads 1 --json segments.json

Sums, maxima and softmax over the bonds of each centre of rattled copper within 5 Å, of 1, 2 and 64 numbers a bond, by
torch, and by ``torch_scatter.segment_csr``, where bonds ascend by centre, or ``torch_scatter.scatter``; forward, and
with the gradient. Searches for neighbours of many molecules at once, by every backend. A ratio below one is a gain.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from ase.build import molecule
from rich.console import Console
from rich.table import Table
from structures import nearest_name, structure
from torch import Tensor
from torch_geometric.data import Batch

from torch_gptff.graph import CrystalData, available_backends, neighbor_list

CUTOFF = 5.0
"""Å"""

WIDTHS = (1, 2, 64)
"""Numbers of a bond: a weight, a head each, a feature each."""

MOLECULES = ("CH3CH2OH", "C6H6", "H2O", "C4H4NH", "CH3COCH3")

Work = Callable[[Tensor], Tensor]


def by_torch(centre: Tensor, n_atoms: int) -> dict[str, Work]:
    """Sum, maximum and softmax over the bonds of each centre, in operations of torch."""

    def total(x: Tensor) -> Tensor:
        return x.new_zeros(n_atoms, x.size(1)).index_add(0, centre, x)

    def highest(x: Tensor) -> Tensor:
        places = centre.unsqueeze(1).expand_as(x)
        return x.new_zeros(n_atoms, x.size(1)).scatter_reduce(0, places, x, "amax", include_self=False)

    return {"sum": total, "maximum": highest, "softmax": _softmax(total, highest, centre)}


def by_torch_scatter(centre: Tensor, n_atoms: int) -> dict[str, dict[str, Work]]:
    """The same by the two ways of torch-scatter."""
    import torch_scatter

    starts = torch.searchsorted(centre, torch.arange(n_atoms + 1, device=centre.device))
    ways = {}
    for name, reduce in {
        "segment_csr": lambda x, how: torch_scatter.segment_csr(x, starts, reduce=how),
        "scatter": lambda x, how: torch_scatter.scatter(x, centre, 0, dim_size=n_atoms, reduce=how),
    }.items():

        def total(x: Tensor, reduce: Any = reduce) -> Tensor:
            return reduce(x, "sum")

        def highest(x: Tensor, reduce: Any = reduce) -> Tensor:
            return reduce(x, "max")

        ways[name] = {"sum": total, "maximum": highest, "softmax": _softmax(total, highest, centre)}
    return ways


def _softmax(total: Work, highest: Work, centre: Tensor) -> Work:
    def softmax(x: Tensor) -> Tensor:
        weights = (x - highest(x.detach()).index_select(0, centre)).exp()
        return weights / total(weights).index_select(0, centre)

    return softmax


def segments(n_atoms: int, device: str, repeats: int) -> Iterator[dict[str, Any]]:
    """A row for every operation, width and way.

    Raises:
        AssertionError: two ways give different numbers.
    """
    data = CrystalData.from_ase(structure(nearest_name("Cu", n_atoms))).to(device)
    edge_index, _, _ = neighbor_list(data, CUTOFF)
    centre, n_atoms = edge_index[1], len(data.z)
    ways: dict[str, dict[str, Work]] = {"torch": by_torch(centre, n_atoms)}
    if find_spec("torch_scatter") is not None:
        ways |= by_torch_scatter(centre, n_atoms)
    for width in WIDTHS:
        x = torch.randn(len(centre), width, device=device, generator=torch.Generator(device).manual_seed(0))
        for operation in ("sum", "maximum", "softmax"):
            for gradient in (False, True):
                answers = {name: run(of[operation], x, gradient) for name, of in ways.items()}
                for name in ways:
                    torch.testing.assert_close(answers[name], answers["torch"], rtol=1e-4, atol=1e-4)
                works = {name: partial(run, of[operation], x, gradient) for name, of in ways.items()}
                seconds = in_turn(works, device, repeats)
                for name, value in seconds.items():
                    yield {
                        "what": f"{operation}{', with gradient' if gradient else ''}",
                        "size": f"{len(centre):,} bonds × {width}",
                        "by": name,
                        "seconds": value,
                        "ratio": value / seconds["torch"],
                    }


def run(work: Work, x: Tensor, gradient: bool) -> Tensor:
    """The result, or the gradient of the sum of its squares."""
    if not gradient:
        return work(x)
    x = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(work(x).square().sum(), x)
    return found


def searches(n_molecules: int, device: str, repeats: int) -> Iterator[dict[str, Any]]:
    """A row for every backend that finds the neighbours of molecules.

    Raises:
        AssertionError: two backends find different numbers of pairs.
    """
    crystals = [CrystalData.from_ase(molecule(MOLECULES[k % len(MOLECULES)])) for k in range(n_molecules)]
    batch = Batch.from_data_list(crystals).to(device)
    backends = [name for name in available_backends() if device == "cpu" or name in ("torch", "torch_cluster")]
    counts = {name: len(neighbor_list(batch, CUTOFF, name)[2]) for name in backends}
    assert len(set(counts.values())) == 1, counts
    works = {name: partial(lengths, batch, name) for name in backends}
    seconds = in_turn(works, device, repeats)
    default = "vesin" if device == "cpu" else "torch"
    for name, value in seconds.items():
        yield {
            "what": "neighbours of molecules",
            "size": f"{n_molecules:,} molecules, {len(batch.z):,} atoms",
            "by": name,
            "seconds": value,
            "ratio": value / seconds[default],
        }


def lengths(batch: Batch, backend: str) -> Tensor:
    """The lengths of the bonds that a backend finds."""
    return neighbor_list(batch, CUTOFF, backend)[2]


def in_turn(works: dict[str, Callable[[], Tensor]], device: str, repeats: int) -> dict[str, float]:
    """Median seconds of each, taken in turn, so that a busy machine is busy for all."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats + 1):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if device != "cpu":
                torch.cuda.synchronize()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


def show(rows: Sequence[dict[str, Any]]) -> None:
    """The table."""
    table = Table("operation", "size", "by", title="With torch-scatter and torch-cluster, and without")
    table.add_column("ms", justify="right")
    table.add_column("ratio", justify="right")
    for row in rows:
        table.add_row(row["what"], row["size"], row["by"], f"{1e3 * row['seconds']:.3f}", f"{row['ratio']:.2f}")
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both packages where they are installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", nargs="+", type=int, default=[256, 4000], help="numbers of atoms")
    parser.add_argument("--molecules", nargs="+", type=int, default=[32, 1024], help="numbers of molecules in a batch")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--threads", type=int, help="by default as many as torch chooses")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    rows = [row for n in options.atoms for row in segments(n, options.device, options.repeats)]
    rows += [row for n in options.molecules for row in searches(n, options.device, options.repeats)]
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
