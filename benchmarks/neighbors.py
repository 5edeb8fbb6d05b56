"""Neighbour lists of rattled copper within 5 Å: the backends side by side, each in a process of its own.

    python benchmarks/neighbors.py --json neighbors.json --plot neighbors.png

checks that all backends find the same pairs, and prints the median time of a search (measuring and sorting included),
its ratio to vesin, and the peak memory beside the size of the list itself.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import MEBIBYTE, Measured, measure
from rich.console import Console
from rich.table import Table
from structures import nearest_name, structure
from torch import Tensor

from torch_gptff.graph import CrystalData, available_backends, neighbor_list

CUTOFF = 5.0
"""Å"""

REFERENCE = "vesin"


def search(backend: str, n_atoms: int, device: str) -> Callable[[], tuple[Tensor, Tensor, Tensor]]:
    """The search in copper of about this number of atoms."""
    data = CrystalData.from_ase(structure(nearest_name("Cu", n_atoms))).to(device)
    return lambda: neighbor_list(data, CUTOFF, backend)


def summary(found: tuple[Tensor, Tensor, Tensor]) -> dict[str, Any]:
    """Numbers of atoms and pairs, bytes of the list, and a fingerprint of the pairs, whatever their order."""
    edge_index, shift, lengths = found
    columns = torch.cat([edge_index, shift.T]).to("cpu", torch.int32).numpy()
    ordered = columns[:, np.lexsort(columns)]
    return {
        "atoms": int(edge_index.max()) + 1,
        "pairs": len(lengths),
        "list_bytes": sum(part.nbytes for part in found),
        "sha256": hashlib.sha256(ordered.tobytes()).hexdigest(),
    }


def measure_all(backends: list[str], n_atoms: int, device: str, **options: Any) -> dict[str, Measured]:
    """Every backend on one structure.

    Raises:
        SystemExit: they find different pairs.
    """
    results = {}
    for backend in backends:
        arguments = {"backend": backend, "n_atoms": n_atoms, "device": device}
        results[backend] = measure("neighbors:search", arguments, summary="neighbors:summary", **options)
    if len({measured.answer["sha256"] for measured in results.values()}) > 1:
        answers = {backend: measured.answer for backend, measured in results.items()}
        raise SystemExit(f"the backends disagree for {n_atoms} atoms: {answers}")
    return results


def show(results: dict[int, dict[str, Measured]]) -> None:
    """Print the table."""
    table = Table(title=f"Neighbour lists of copper, {CUTOFF} Å")
    for heading in ("atoms", "pairs", "backend", "time, s", f"× {REFERENCE}", "peak, MiB", "list, MiB"):
        table.add_column(heading, justify="left" if heading == "backend" else "right")
    for by_backend in results.values():
        reference = by_backend.get(REFERENCE)
        for name, measured in by_backend.items():
            answer = measured.answer
            table.add_row(
                f"{answer['atoms']:,}",
                f"{answer['pairs']:,}",
                name,
                f"{measured.median:.4f}",
                f"{measured.median / reference.median:.2f}" if reference else "",
                f"{measured.peak_above_idle / MEBIBYTE:.0f}",
                f"{answer['list_bytes'] / MEBIBYTE:.0f}",
            )
        table.add_section()
    Console().print(table)


def plot(results: dict[int, dict[str, Measured]], path: Path) -> None:
    """Time and peak memory against the number of atoms, on logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    time_axes, memory_axes = figure.subplots(1, 2)
    names = sorted({name for by_backend in results.values() for name in by_backend})
    for name in names:
        measured = [by_backend[name] for by_backend in results.values() if name in by_backend]
        atoms = [each.answer["atoms"] for each in measured]
        time_axes.loglog(atoms, [each.median for each in measured], "o-", label=name)
        memory_axes.loglog(atoms, [each.peak_above_idle / MEBIBYTE for each in measured], "o-", label=name)
    lists = {each.answer["atoms"]: each.answer["list_bytes"] for by in results.values() for each in by.values()}
    memory_axes.loglog(list(lists), [size / MEBIBYTE for size in lists.values()], "k:", label="the list itself")
    time_axes.set(xlabel="atoms", ylabel="time of a search, s")
    memory_axes.set(xlabel="atoms", ylabel="peak memory above idle, MiB")
    for axes in (time_axes, memory_axes):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.suptitle(f"Neighbour lists of copper, {CUTOFF} Å")
    figure.savefig(path, dpi=150)


def as_json(results: dict[int, dict[str, Measured]]) -> list[dict[str, Any]]:
    """One record for each backend and size."""
    return [
        {
            "backend": name,
            **measured.answer,
            "median_s": measured.median,
            "seconds": measured.seconds,
            "peak_above_idle_bytes": measured.peak_above_idle,
            "gpu_peak_bytes": measured.gpu_peak,
        }
        for by_backend in results.values()
        for name, measured in by_backend.items()
    ]


def main() -> None:
    periodic = [name for name in available_backends() if name != "torch_cluster"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backends", nargs="+", choices=periodic, default=periodic)
    parser.add_argument("--sizes", nargs="+", type=int, default=[1_000, 10_000, 100_000], help="numbers of atoms")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, help="by default as many as the libraries choose")
    parser.add_argument("--device", default="cpu", help='"cuda" is where the backend "torch" is at home')
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()

    results = {
        n_atoms: measure_all(
            options.backends, n_atoms, options.device, repeats=options.repeats, threads=options.threads
        )
        for n_atoms in options.sizes
    }
    show(results)
    if options.json:
        options.json.write_text(json.dumps(as_json(results), indent=1) + "\n")
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
