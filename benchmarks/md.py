"""Molecular dynamics through ASE: velocity Verlet of 1 fs at 300 K, this package and others side by side.

    python benchmarks/md.py --v1 gptff_v1.pth --reference GPTFF --threads 2 --json md.json --plot md.png

prints the median time of a step, averaged over ten at a time, so that this package's searches for neighbours, which a
skin of 0.5 Å makes rare, are in it; and the peak memory above the idle process.
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
from work import STEPS

SKIN = 0.5
"""Å"""


def compare(name: str, opponents: Sequence[Opponent], options: argparse.Namespace) -> list[Row]:
    """One row for every opponent, with its ratio to the one it is compared with."""
    rows: list[Row] = []
    for opponent in opponents:
        row = report.measured("work:dynamics", opponent, options, name=name)
        if "error" not in row:
            row |= {"step_s": row["median_s"] / STEPS, "steps_per_s": STEPS / row["median_s"]}
        rows.append({"structure": name, "opponent": opponent.name, "against": opponent.against, **row})
    report.add_ratios(rows)
    return rows


def show(rows: Sequence[Row]) -> None:
    """The table of one structure."""
    table = Table(title=f"Molecular dynamics of {rows[0]['structure']}")
    for column in ("model", "against", "a step, ms", "", "steps/s", "peak, MiB", ""):
        table.add_column(column, justify="left" if column in ("model", "against") else "right")
    for row in rows:
        table.add_row(
            row["opponent"],
            row["against"] or "",
            report.milliseconds(row, "step_s"),
            report.times(row["time_ratio"]),
            "" if "error" in row else f"{row['steps_per_s']:.1f}",
            report.mebibytes(row),
            report.times(row["memory_ratio"]),
        )
    report.console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_opponent_options(parser, ["published", "chgnet", "matgl", "labeller"])
    parser.add_argument("--structures", nargs="+", default=["Si 64", "Cu 500"], help='such as "Cu 500"')
    report.add_options(parser)
    options = parser.parse_args(arguments)

    opponents = [
        replace(each, arguments={**each.arguments, "skin": SKIN}) if each.adapter == "ours" else each
        for each in line_up(options)
    ]
    machine = rates(options.device, options.threads)
    report.console().print(report.title_of(machine, options))
    rows: list[Row] = []
    for name in options.structures:
        found = compare(name, opponents, options)
        show(found)
        rows += found
    if options.plot:
        report.plot_bars(options.plot, report.title_of(machine, options), rows, {"step_s": (1e-3, "a step, ms")})
    report.keep(options, machine, rows)


if __name__ == "__main__":
    main()
