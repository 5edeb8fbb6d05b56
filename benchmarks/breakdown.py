"""Where the time of one evaluation goes, part by part, with every message made by itself and with fused updates.

    python benchmarks/breakdown.py --v1 gptff_v1.pth --threads 2 --json breakdown.json --plot breakdown.png

prints for one crystal the time of every part of the evaluation, forward and in the gradient, and the floor: the time
that the arithmetic or the memory traffic of the part (``arithmetic.py``), whichever takes longer, needs at the rates
that this machine reaches in a product of large matrices and in a copy. A model that gives energy and gradient in one
call of a kernel is computed layer by layer here, as it is in training.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import report
import torch
from arithmetic import GEOMETRIC_PARTS, PAPER_PARTS, bytes_by_part, flops_by_part, graph_size, parts_of
from lineup import Opponent, add_opponent_options, line_up
from machine import Rates, rates
from opponents import ours
from report import Row
from rich.table import Table
from structures import structure
from torch import Tensor

from torch_gptff import CrystalData, GPTFFConfig, Potential
from torch_gptff.graph import BondAngles, PeriodicRadiusGraph
from torch_gptff.models import geometry
from torch_gptff.nn import geometric_transformer

GRAPH = ("neighbours", "angle pairs")
REST = "the rest"
ALL_PARTS = (*GRAPH, *PAPER_PARTS[:-1], *GEOMETRIC_PARTS[1:], REST)
"""In the order of the table. The rest: sums into bonds and atoms, forces and stress, autograd itself."""

Times = dict[str, float]


class Stopwatch:
    """Times the parts of a model, forward, and the nodes that they leave in the autograd graph, backward."""

    def __init__(self, potential: Potential) -> None:
        self.forward: Times = defaultdict(float)
        self.backward: Times = defaultdict(float)
        self.own = 0.0  # seconds spent on watching
        self._within = [0.0]  # seconds of the timed functions that those running now have called
        self._nodes: list[tuple[int, int, str]] = []  # sequence numbers of nodes, from and up to, and their part
        for part, owner, name in _functions(potential):
            setattr(owner, name, self._timed(part, getattr(owner, name)))
        potential._gradient = self._watched(potential._gradient)  # type: ignore[method-assign]

    def restart(self) -> None:
        self.forward.clear()
        self.backward.clear()
        self._nodes.clear()
        self.own = 0.0

    def _timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*inputs: Any) -> Any:
            first, start = _sequence_number(), time.perf_counter()
            self._within.append(0.0)
            result = function(*inputs)
            taken = time.perf_counter() - start
            self.forward[part] += taken - self._within.pop()
            self._within[-1] += taken
            self._nodes.append((first, _sequence_number(), part))
            return result

        return timed

    def _watched(self, gradient: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def watched(energy: Tensor, vectors: Tensor, create_graph: bool) -> Tensor:
            start = time.perf_counter()
            for node in _graph_below(energy):
                number = node._sequence_nr()
                part = next((part for first, last, part in self._nodes if first < number < last), REST)
                node.register_prehook(lambda _, node=node: node.metadata.update(began=time.perf_counter()))
                node.register_hook(lambda *_, node=node, part=part: self._add_backward(node, part))
            self.own = time.perf_counter() - start
            return gradient(energy, vectors, create_graph)

        return watched

    def _add_backward(self, node: Any, part: str) -> None:
        self.backward[part] += time.perf_counter() - node.metadata["began"]


def _functions(potential: Potential) -> list[tuple[str, Any, str]]:
    """The part that each function of the model belongs to."""
    model: Any = potential.model
    found: list[tuple[str, Any, str]]
    if model.is_geometric:
        found = [("start", model, "_embed_atoms"), ("start", geometry, "bond_harmonics"),
                 ("products", geometric_transformer, "tensor_product")]  # fmt: skip
        for layer in model.layers:
            found += [("networks", layer, "forward"), ("attention", layer.attention, "forward")]
        return [*found, ("readout", model.readout, "forward")]
    found = [("start", model, f"_{name}") for name in ("geometry", "embed_atoms", "embed_bonds")]
    for layer in model.layers:
        found += [(f"{name}s", getattr(layer, name), "forward") for name in ("angle", "bond", "atom")]
        if layer.transformer is not None:
            found.append(("transformer", layer.transformer, "forward"))
    return [*found, ("readout", model.readout, "forward")]


def _sequence_number() -> int:
    """Of the node that the next operation leaves."""
    with torch.enable_grad():
        node = (torch.zeros((), requires_grad=True) * 1).grad_fn
    assert node is not None
    return int(node._sequence_nr())


def _graph_below(value: Tensor) -> set[Any]:
    seen, coming = set(), [value.grad_fn]
    while coming:
        node = coming.pop()
        if node is not None and node not in seen:
            seen.add(node)
            coming += [following for following, _ in node.next_functions]
    return seen


def evaluation(adapter: str, arguments: Mapping[str, Any], name: str, fuse: bool, device: str) -> Callable[[], Any]:
    """One evaluation from atoms. Its answer is the median time of every part, forward and backward, in seconds."""
    potential = ours.potential(arguments.get("checkpoint"), arguments.get("config"))
    potential.to(device).eval().requires_grad_(False)
    ours.set_fused(potential, fuse)
    data = CrystalData.from_ase(structure(name)).to(device)
    stopwatch = Stopwatch(potential)
    model: Any = potential.model
    model.energies_and_gradient = lambda *_: None  # not in one call, where nothing can be told apart
    runs: list[dict[str, tuple[float, float]]] = []

    def work() -> Callable[[], dict[str, list[float]]]:
        start = time.perf_counter()
        graph = PeriodicRadiusGraph(model.cutoff)(data)
        searched = time.perf_counter()
        if model.angle_cutoff is not None:
            graph = BondAngles(model.angle_cutoff)(graph)
        paired = time.perf_counter()
        stopwatch.restart()
        potential.evaluate(graph)
        end = time.perf_counter()
        times = {part: (stopwatch.forward[part], stopwatch.backward[part]) for part in parts_of(model.config)}
        times |= {"neighbours": (searched - start, 0.0), "angle pairs": (paired - searched, 0.0)}
        known = sum(sum(both) for both in times.values())
        backward = stopwatch.backward[REST]
        times[REST] = (end - start - known - backward - stopwatch.own, backward)
        runs.append(times)
        return lambda: {part: [median(run[part][k] for run in runs[1:]) for k in (0, 1)] for part in times}

    return work


def floor(config: GPTFFConfig, name: str, machine: Rates) -> Times:
    """Seconds of every part that no implementation in float32 can do without."""
    size = graph_size(config, structure(name))
    flops, traffic = flops_by_part(config, size), bytes_by_part(config, size)
    return {part: max(flops[part] / machine.flops, traffic.get(part, 0) / machine.bytes) for part in flops}


def compare(opponent: Opponent, options: argparse.Namespace, machine: Rates) -> list[Row]:
    """Two rows: every message by itself, and fused."""
    assert opponent.config is not None
    rows = []
    for name, fuse in ((f"{opponent.name}, one by one", False), (opponent.name, True)):
        row: Row = {"structure": options.structure, "opponent": name, "against": None if fuse else opponent.name}
        row |= report.measured(
            "breakdown:evaluation", opponent, options, "work:answer", name=options.structure, fuse=fuse
        )
        row["parts"] = row.pop("answer", None)
        row["floor"] = floor(opponent.config, options.structure, machine)
        rows.append(row)
    report.add_ratios(rows)
    return rows


def show(rows: Sequence[Row]) -> None:
    """The table of one model."""
    before, after = rows
    if "error" in before or "error" in after:
        return
    table = Table(title=f"{after['structure']}, {after['opponent']}: Atoms → E, F, S in ms")
    for column in ("part", "one by one", "forward", "gradient", "fused", "forward", "gradient", "", "floor"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part in (part for part in ALL_PARTS if sum(before["parts"].get(part, ()))):
        slow, fast = before["parts"][part], after["parts"][part]
        least = after["floor"].get(part)
        gain = report.times(sum(slow) / sum(fast)) if sum(fast) else ""
        table.add_row(part, *_cells(slow), *_cells(fast), gain, "" if least is None else f"{1e3 * least:.1f}")
    table.add_section()
    table.add_row(
        "together",
        report.milliseconds(before),
        *[""] * 2,
        report.milliseconds(after),
        *[""] * 2,
        report.times(before["time_ratio"]),
        f"{1e3 * sum(after['floor'].values()):.1f}",
    )
    table.add_row("peak, MiB", report.mebibytes(before), *[""] * 2, report.mebibytes(after), *[""] * 2,
                  report.times(before["memory_ratio"]), "")  # fmt: skip
    report.console().print(table)


def _cells(times: Sequence[float]) -> list[str]:
    return [f"{1e3 * value:.1f}" for value in (sum(times), *times)]


def plot(path: Path, title: str, rows: Sequence[Row]) -> None:
    """A bar of every row and of the floor, cut into parts."""
    from matplotlib.figure import Figure

    rows = [row for row in rows if "error" not in row]
    bars: list[tuple[str, Times]] = []
    for row in rows:
        bars.append((row["opponent"], {part: sum(both) for part, both in row["parts"].items()}))
        if row["against"] is None:
            bars.append((f"{row['opponent']}, floor", row["floor"]))
    figure = Figure(figsize=(11, 1.6 + 0.5 * len(bars)), layout="constrained")
    axes = figure.subplots()
    left = [0.0] * len(bars)
    for part in ALL_PARTS:
        width = [1e3 * times.get(part, 0.0) for _, times in bars]
        axes.barh([name for name, _ in bars], width, left=left, label=part)
        left = [a + b for a, b in zip(left, width, strict=True)]
    axes.invert_yaxis()
    axes.set(xlabel=f"{rows[0]['structure']}: Atoms → E, F, S, ms" if rows else "")
    figure.legend(loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle(title, fontsize="small")
    figure.savefig(path, dpi=150)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structure", default="Ti 1024", help='such as "Cu 500"')
    add_opponent_options(parser, [])
    report.add_options(parser)
    options = parser.parse_args(arguments)

    machine = rates(options.device, options.threads)
    title = report.title_of(machine, options)
    report.console().print(title)
    rows: list[Row] = []
    for opponent in line_up(options):
        found = compare(opponent, options, machine)
        show(found)
        rows += found
    if options.plot:
        plot(options.plot, title, rows)
    report.keep(options, machine, rows)


if __name__ == "__main__":
    main()
