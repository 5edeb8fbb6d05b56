"""What one call for a small structure consists of, and which share of it is arithmetic.

    python benchmarks/call.py --models gptff-v1 gptff-universal --v1 gptff_v1.pth --threads 1 --json call.json

takes apart the call of the calculator for atoms that have moved, as it is used for inference: the record of the atoms,
the graph, energy and gradient from the graph, and the rest; beside them the same call where the model is computed layer
by layer, as it is where there is no kernel of the whole model; the time within the operators of PyTorch and of
this package, as PyTorch's profiler sees it, without what Python and autograd need between them; and the floor, the time
that the arithmetic or the memory traffic (``arithmetic.py``), whichever takes longer, needs at the machine's rates.
With one thread, times are those of the processor, which other programs on the machine change little.
``breakdown.py`` takes apart the evaluation of a graph, layer by layer.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import report
import torch
from arithmetic import graph_size, necessary_bytes, necessary_flops
from ase.calculators.calculator import all_changes
from lineup import Opponent, add_opponent_options, line_up
from machine import Rates, rates
from opponents import ours
from report import Row
from rich.table import Table
from structures import structure
from work import MOVES, PROPERTIES

from torch_gptff import CrystalData

PARTS = ("atoms", "graph", "evaluation", "rest", "call", "by layers", "operators", "floor")
"""In the order of the table. The first four add up to the call; it follows as it is with the model layer by layer, by
autograd; operators are a part of the evaluation."""


def parts(opponent: Opponent, name: str, repeats: int, machine: Rates) -> Row:
    """Seconds of each of :data:`PARTS`, medians."""
    assert opponent.config is not None
    calculator = ours.calculator("cpu", **opponent.arguments)
    model = calculator.potential.model
    moved = [structure(name, seed) for seed in range(MOVES)]
    records = [CrystalData.from_ase(atoms) for atoms in moved]
    graphs = [model.build_graph(record.clone()) for record in records]
    size = graph_size(opponent.config, moved[0])
    flops, traffic = necessary_flops(opponent.config, size), necessary_bytes(opponent.config, size)

    def call(k: int) -> None:
        calculator.calculate(moved[k], PROPERTIES, all_changes)

    seconds = {
        "call": timed(call, repeats),
        "atoms": timed(lambda k: CrystalData.from_ase(moved[k]), repeats),
        "graph": timed(lambda k: model.build_graph(records[k].clone()), repeats),
        "evaluation": timed(lambda k: calculator.potential.evaluate(graphs[k]), repeats),
        "operators": within_operators(model, lambda k: calculator.potential.evaluate(graphs[k]), repeats),
        "floor": max(flops / machine.flops, traffic / machine.bytes),
    }
    model.energies_and_gradient = lambda *_: None
    seconds["by layers"] = timed(call, repeats)
    seconds["rest"] = seconds["call"] - seconds["atoms"] - seconds["graph"] - seconds["evaluation"]
    return {
        "structure": name,
        "opponent": opponent.name,
        "against": None,
        **size._asdict(),
        "flops": flops,
        "bytes": traffic,
        "parts": seconds,
    }


def timed(work: Callable[[int], object], repeats: int) -> float:
    """The median time of a call, each with the atoms in another place."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    taken = []
    for number in range(repeats + 1):
        start = clock()
        work(number % MOVES)
        taken.append(clock() - start)
    return median(taken[1:])


def within_operators(model: Any, work: Callable[[int], object], repeats: int) -> float:
    """Seconds of a call that the operators themselves take, and the kernel of a whole model, where it has one."""
    in_one_call = getattr(model, "_in_one_call", None)

    def seen(*inputs: Any) -> Any:
        with torch.profiler.record_function("kernel of a model"):
            return in_one_call(*inputs)  # type: ignore[misc]

    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        if in_one_call is not None:
            model._in_one_call = seen
        for number in range(repeats):
            work(number % MOVES)
    model.__dict__.pop("_in_one_call", None)
    return sum(each.self_cpu_time_total for each in profile.key_averages()) / repeats / 1e6


def show(rows: Sequence[Row]) -> None:
    """A row for each structure and model."""
    table = Table(title="One call, ms, and which share of it is arithmetic")
    for column in ("structure", "model", *PARTS, "floor of call"):
        table.add_column(column, justify="left" if column in ("structure", "model") else "right")
    for row in rows:
        seconds = row["parts"]
        table.add_row(
            row["structure"],
            row["opponent"],
            *(f"{1e3 * seconds[part]:.2f}" for part in PARTS),
            report.percent(seconds["floor"] / seconds["call"]),
        )
    report.console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", nargs="+", default=["Si 8", "Si 64"], help='such as "Cu 500"')
    add_opponent_options(parser, [])
    report.add_options(parser)
    options = parser.parse_args(arguments)

    torch.set_num_threads(options.threads)
    machine = rates("cpu", options.threads)
    report.console().print(report.title_of(machine, options))
    rows = [
        parts(opponent, name, options.repeats, machine) for name in options.structures for opponent in line_up(options)
    ]
    show(rows)
    if options.plot:
        flat = [{**row, **row["parts"]} for row in rows]
        measures = {part: (1e-3, f"{part}, ms") for part in ("call", "evaluation", "floor")}
        report.plot_bars(options.plot, report.title_of(machine, options), flat, measures)
    report.keep(options, machine, rows)


if __name__ == "__main__":
    main()
