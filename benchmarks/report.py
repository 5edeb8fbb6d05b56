"""Rows of numbers: how they are measured, compared, shown and kept."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lineup import Opponent
from machine import Rates, description
from measure import MEBIBYTE, measure
from rich.console import Console

Row = dict[str, Any]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that say where it runs, how often, and where the numbers go."""
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7, help="of which the median is taken")
    parser.add_argument("--json", type=Path, help="write every number there")
    parser.add_argument("--plot", type=Path, help="draw a figure there")


def measured(
    function: str, opponent: Opponent, options: argparse.Namespace, summary: str | None = None, **arguments: Any
) -> Row:
    """What :func:`measure.measure` sees of the opponent; ``{"error": …}`` where it failed."""
    arguments |= {"adapter": opponent.adapter, "arguments": dict(opponent.arguments), "device": options.device}
    try:
        seen = measure(
            function,
            arguments,
            summary=summary,
            repeats=options.repeats,
            threads=options.threads,
            python=opponent.python,
        )
    except RuntimeError as error:
        print(f"{opponent.name}: {error}", file=sys.stderr)
        return {"error": str(error)}
    peak = seen.gpu_peak_above_idle if options.device == "cuda" else seen.peak_above_idle
    return {"median_s": seen.median, "seconds": seen.seconds, "peak_bytes": peak, "answer": seen.answer}


def add_ratios(rows: Sequence[Row]) -> None:
    """Give every row how many times the time and memory it takes of the row that it is compared with."""
    for row in rows:
        other = rival(row, rows)
        row["time_ratio"] = ratio(row, other, "median_s")
        row["memory_ratio"] = ratio(row, other, "peak_bytes")


def rival(row: Row, rows: Sequence[Row]) -> Row | None:
    """The row that this one is compared with."""
    return next((other for other in rows if other["opponent"] == row["against"]), None)


def ratio(one: Row, other: Row | None, key: str) -> float | None:
    """How many times as much ``one`` has of ``key``; ``None`` where either is not known."""
    if other is None or one.get(key) is None or not other.get(key):
        return None
    return one[key] / other[key]


def keep(options: argparse.Namespace, rates: Rates, rows: Sequence[Row]) -> None:
    """Write all rows, with the machine and the options that made them, where ``--json`` says.

    Raises:
        SystemExit: an opponent failed; what the others did is written all the same.
    """
    if options.json:
        record = {
            "options": vars(options),
            "machine": description(options.device, options.threads) | asdict(rates),
            "rows": list(rows),
        }
        options.json.write_text(json.dumps(record, indent=1, default=str) + "\n")
    failed = [f"{row['opponent']} ({row['structure']})" for row in rows if "error" in row | row.get("prebuilt", {})]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}; see above")


def plot_bars(path: Path, title: str, rows: Sequence[Row], measures: Mapping[str, tuple[float, str]]) -> None:
    """For every measure (its key, unit and label) a panel: a group of bars a structure, a bar an opponent."""
    from matplotlib.figure import Figure

    names, structures = (list(dict.fromkeys(row[of] for row in rows)) for of in ("opponent", "structure"))
    figure = Figure(figsize=(11, 0.5 + 3.5 * len(measures)), layout="constrained")
    width = 0.8 / len(names)
    for axes, (key, (unit, label)) in zip(
        figure.subplots(len(measures), squeeze=False).flat, measures.items(), strict=True
    ):
        for place, name in enumerate(names):
            mine = [row for row in rows if row["opponent"] == name and key in row]
            groups = [structures.index(row["structure"]) + width * place for row in mine]
            axes.bar(groups, [row[key] / unit for row in mine], width, label=name)
        axes.set_xticks([group + 0.4 - width / 2 for group in range(len(structures))], structures)
        axes.set(yscale="log" if len(structures) > 1 else "linear", ylabel=label)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle(title, fontsize="small")
    figure.savefig(path, dpi=150)


def console() -> Console:
    """Wide enough for the tables where the output goes to a file."""
    return Console(width=None if sys.stdout.isatty() else 140)


def title_of(rates: Rates, options: argparse.Namespace) -> str:
    """The machine in one line."""
    device = description(options.device, options.threads)["device"]
    threads = f", {options.threads} threads" if options.device == "cpu" else ""
    return (
        f"{device}{threads}: matrix product {rates.flops / 1e9:.0f} GFLOP/s, "
        f"copy {rates.bytes / 1e9:.1f} GB/s (read and written)"
    )


def milliseconds(row: Row, key: str = "median_s") -> str:
    return "failed" if "error" in row else f"{1e3 * row[key]:.1f}"


def mebibytes(row: Row) -> str:
    return "" if "error" in row else f"{row['peak_bytes'] / MEBIBYTE:.0f}"


def times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}×"


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"
