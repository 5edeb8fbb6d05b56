"""Time per atom and memory of energy, forces and stress as a crystal grows: architectures that are local.

    python benchmarks/scaling.py --threads 2 --sizes 1000 10000 100000 --json scaling.json --plot scaling.png
    python benchmarks/scaling.py --device cuda --sizes 1000 10000 100000 1000000

prints the median time from ``Atoms`` that have moved to energy, forces and stress, graph included, for each atom, its
ratio to that of the smallest crystal, and the peak memory above the idle process, each in a process of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import report
from lineup import Opponent, of_architecture
from machine import rates
from measure import MEBIBYTE
from report import Row
from rich.table import Table
from structures import nearest_name

MODELS = ("small", "large", "paper", "harmonic")
"""Those of :data:`~lineup.ARCHITECTURES`, all local."""


def scale(opponent: Opponent, options: argparse.Namespace) -> list[Row]:
    """One row for every size, with its time for each atom beside that of the first."""
    rows: list[Row] = []
    for wanted in options.sizes:
        name = nearest_name(options.crystal, wanted)
        n_atoms = int(name.split()[1])
        row = report.measured("work:whole", opponent, options, name=name)
        row.pop("answer", None)
        if "error" not in row:
            row |= {"s_per_atom": row["median_s"] / n_atoms, "bytes_per_atom": row["peak_bytes"] / n_atoms}
        rows.append({"structure": name, "opponent": opponent.name, "atoms": n_atoms, **row})
        rows[-1]["time_ratio"] = report.ratio(row, rows[0], "s_per_atom")
    return rows


def show(rows: Sequence[Row], title: str) -> None:
    """The table."""
    table = Table(title=title)
    for column in ("model", "atoms", "time, s", "µs/atom", "of the first", "peak, MiB", "kB/atom"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for row in rows:
        numbers = (
            ("failed",)
            if "error" in row
            else (
                f"{row['median_s']:.3f}",
                f"{1e6 * row['s_per_atom']:.1f}",
                report.times(row["time_ratio"]),
                report.mebibytes(row),
                f"{row['bytes_per_atom'] / 1e3:.1f}",
            )
        )
        table.add_row(row["opponent"], f"{row['atoms']:,}", *numbers)
    report.console().print(table)


def plot(rows: Sequence[Row], title: str, path: Path) -> None:
    """Time for each atom and peak memory against the number of atoms."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    time_axes, memory_axes = figure.subplots(1, 2)
    for name in dict.fromkeys(row["opponent"] for row in rows):
        mine = [row for row in rows if row["opponent"] == name and "error" not in row]
        atoms = [row["atoms"] for row in mine]
        time_axes.semilogx(atoms, [1e6 * row["s_per_atom"] for row in mine], "o-", label=name)
        memory_axes.loglog(atoms, [row["peak_bytes"] / MEBIBYTE for row in mine], "o-", label=name)
    time_axes.set(xlabel="atoms", ylabel="E, F, S: time for each atom, µs", ylim=(0, None))
    memory_axes.set(xlabel="atoms", ylabel="peak memory above idle, MiB")
    time_axes.legend(frameon=False)
    figure.suptitle(title, fontsize="small")
    figure.savefig(path, dpi=150)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["small"])
    parser.add_argument("--crystal", choices=["Cu", "Ti", "Si", "NaCl"], default="Cu")
    parser.add_argument("--sizes", nargs="+", type=int, default=[1_000, 10_000, 100_000], help="numbers of atoms")
    report.add_options(parser)
    options = parser.parse_args(arguments)

    machine = rates(options.device, options.threads)
    report.console().print(report.title_of(machine, options))
    rows = [row for name in MODELS if name in options.models for row in scale(of_architecture(name), options)]
    show(rows, f"Energy, forces and stress of {options.crystal}")
    if options.plot:
        plot(rows, report.title_of(machine, options), options.plot)
    report.keep(options, machine, rows)


if __name__ == "__main__":
    main()
