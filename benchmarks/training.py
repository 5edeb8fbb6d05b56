"""A training step on energies, forces and stresses of sixteen mixed crystals of 2 to 56 atoms, side by side.

    python benchmarks/training.py --v1 gptff_v1.pth --reference GPTFF --threads 2 --json training.json

takes the published model and this package's through one loop: the same weights, crystals, loss (Huber) and optimiser
(AdamW), graphs made beforehand; and prints the median time and the peak memory above the idle process. "one by one"
is this package with every message made by itself in plain operations, as before its updates were fused.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import report
from lineup import Opponent, add_opponent_options, line_up
from machine import rates
from report import Row
from rich.table import Table


def compare(opponents: Sequence[Opponent], options: argparse.Namespace) -> list[Row]:
    """One row for every opponent, with its ratios to the one it is compared with."""
    rows = [
        {
            "structure": "16 crystals",
            "opponent": opponent.name,
            "against": opponent.against,
            **report.measured("work:training_step", opponent, options, "work:answer"),
        }
        for opponent in opponents
    ]
    report.add_ratios(rows)
    for row in rows:
        row["losses"] = row.pop("answer", None)
    return rows


def unfused(opponent: Opponent) -> Opponent:
    """The same, with every message made by itself."""
    arguments = {**opponent.arguments, "fuse": False}
    return replace(opponent, name=f"{opponent.name}, one by one", arguments=arguments, against=opponent.name)


def show(rows: Sequence[Row]) -> None:
    """The table."""
    table = Table(title="A training step on energy, forces and stress of 16 crystals, 370 atoms")
    for column in ("model", "against", "a step, ms", "", "peak, MiB", "", "first loss"):
        table.add_column(column, justify="left" if column in ("model", "against") else "right")
    for row in rows:
        table.add_row(
            row["opponent"],
            row["against"] or "",
            report.milliseconds(row),
            report.times(row["time_ratio"]),
            report.mebibytes(row),
            report.times(row["memory_ratio"]),
            f"{row['losses'][0]:.6f}" if row["losses"] else "",
        )
    report.console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_opponent_options(parser, ["published"])
    report.add_options(parser)
    options = parser.parse_args(arguments)

    opponents = line_up(options)
    fused = [each for each in opponents if each.adapter == "ours" and each.name != "harmonic"]
    machine = rates(options.device, options.threads)
    report.console().print(report.title_of(machine, options))
    rows = compare([*opponents, *map(unfused, fused)], options)
    show(rows)
    if options.plot:
        measures = {"median_s": (1e-3, "a step, ms"), "peak_bytes": (2**20, "peak above idle, MiB")}
        report.plot_bars(options.plot, report.title_of(machine, options), rows, measures)
    report.keep(options, machine, rows)


if __name__ == "__main__":
    main()
