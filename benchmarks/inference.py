"""Energy, forces and stress of five crystals: this package and others, side by side, each in a process of its own.

    python benchmarks/inference.py --v1 gptff_v1.pth --v2 gptff_v2.pth --reference GPTFF --threads 2 \\
        --json inference.json --plot inference.png

prints for every crystal the median time from ``Atoms`` that have moved to energy, forces and stress, graph included;
the same of a graph made once, where the interface has such a thing; the peak memory above the idle process; and, for
GPTFF, which fraction of the machine's rates the second time amounts to (see ``arithmetic.py``).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import report
from arithmetic import graph_size, necessary_bytes, necessary_flops
from lineup import Opponent, add_opponent_options, line_up
from machine import Rates, rates
from report import Row
from rich.table import Table
from structures import STANDARD, structure

from torch_gptff import GPTFFConfig

NO_PREBUILT = ("matgl", "labeller")
"""Adapters whose interface takes ``Atoms`` only"""


def compare(name: str, opponents: Sequence[Opponent], options: argparse.Namespace, machine: Rates) -> list[Row]:
    """One row for every opponent, with its ratios to the one it is compared with."""
    rows: list[Row] = []
    for opponent in opponents:
        row: Row = {"structure": name, "opponent": opponent.name, "against": opponent.against}
        row |= report.measured("work:whole", opponent, options, "work:answer", name=name)
        if opponent.adapter not in NO_PREBUILT and not options.only_whole:
            row["prebuilt"] = report.measured("work:prebuilt", opponent, options, name=name)
        if opponent.config is not None:
            row |= achieved(opponent.config, name, row.get("prebuilt", {}).get("median_s"), machine)
        rows.append(row)
    report.add_ratios(rows)
    for row, opponent in zip(rows, opponents, strict=True):
        if opponent.same_weights:
            row |= differences(row, report.rival(row, rows))
    for row in rows:
        row.pop("answer", None)
    return rows


def achieved(config: GPTFFConfig, name: str, seconds: float | None, machine: Rates) -> Row:
    """What the evaluation of a graph needs, and which fraction of the machine's rates its time amounts to."""
    size = graph_size(config, structure(name))
    flops, traffic = necessary_flops(config, size), necessary_bytes(config, size)
    return {
        **size._asdict(),
        "flops": flops,
        "bytes": traffic,
        "product_fraction": flops / seconds / machine.flops if seconds else None,
        "copy_fraction": traffic / seconds / machine.bytes if seconds else None,
    }


def differences(one: Row, other: Row | None) -> Row:
    """Of two answers: energy in eV/atom, and the largest of a force in eV/Å."""
    if other is None or "error" in one or "error" in other:
        return {}
    forces = [np.array(each["answer"]["forces"]) for each in (one, other)]
    energy = one["answer"]["energy"] - other["answer"]["energy"]
    return {
        "energy_difference": abs(energy) / len(forces[0]),
        "force_difference": float(abs(forces[0] - forces[1]).max()),
    }


def heading(rows: Sequence[Row]) -> str:
    """The size of a structure: bonds and angles are not the same for every model."""
    sizes: dict[tuple[int, int], list[str]] = {}
    for row in rows:
        if "bonds" in row:
            sizes.setdefault((row["bonds"], row["angles"]), []).append(row["opponent"])
    graphs = [f"{bonds:,} bonds, {angles:,} angles" for bonds, angles in sizes]
    if len(sizes) > 1:
        graphs = [f"{graph} ({', '.join(names)})" for graph, names in zip(graphs, sizes.values(), strict=True)]
    return f"{rows[0]['structure']}: {rows[0]['atoms']:,} atoms, {'; '.join(graphs)}"


def show(rows: Sequence[Row]) -> None:
    """The table of one structure."""
    table = Table(title=heading(rows))
    columns = ("model", "against", "Atoms → E, F, S, ms", "", "graph → E, F, S, ms", "peak, MiB", "", "product", "copy")
    for column in columns:
        table.add_column(column, justify="left" if column in ("model", "against") else "right")
    for row in rows:
        table.add_row(
            row["opponent"],
            row["against"] or "",
            report.milliseconds(row),
            report.times(row["time_ratio"]),
            report.milliseconds(row["prebuilt"]) if "prebuilt" in row else "",
            report.mebibytes(row),
            report.times(row["memory_ratio"]),
            report.percent(row.get("product_fraction")),
            report.percent(row.get("copy_fraction")),
        )
    console = report.console()
    console.print(table)
    for row in rows:
        if "energy_difference" in row:
            console.print(
                f"{row['opponent']} and {row['against']} differ by {row['energy_difference']:.1e} eV/atom and at most "
                f"{row['force_difference']:.1e} eV/Å"
            )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", nargs="+", default=STANDARD, help='such as "Cu 500"')
    parser.add_argument("--only-whole", action="store_true", help="leave out the graphs made once")
    add_opponent_options(parser, ["published", "chgnet", "matgl", "labeller", "schnet", "dimenet"])
    report.add_options(parser)
    options = parser.parse_args(arguments)

    opponents = line_up(options)
    machine = rates(options.device, options.threads)
    title = report.title_of(machine, options)
    report.console().print(title)
    rows: list[Row] = []
    for name in options.structures:
        found = compare(name, opponents, options, machine)
        show(found)
        rows += found
    if options.plot:
        measures = {"median_s": (1e-3, "Atoms → E, F, S, ms"), "peak_bytes": (2**20, "peak above idle, MiB")}
        report.plot_bars(options.plot, title, rows, measures)
    report.keep(options, machine, rows)


if __name__ == "__main__":
    main()
