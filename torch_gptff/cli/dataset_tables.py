"""The statistics of a dataset as tables and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ase.data import chemical_symbols
from rich.console import Console

from torch_gptff.cli.output import NOTHING, Column, fixed, print_line, print_table
from torch_gptff.datasets import DatasetStatistics
from torch_gptff.graph.checks import element_ranges
from torch_gptff.io.files import written_atomically

MOST_OUTLIERS = 10
"""That are listed; the JSON has all."""

FEW = 5
"""The rarest elements that are named."""


def print_statistics(console: Console, statistics: DatasetStatistics, all_elements: bool) -> None:
    """Print what is worth a look, and every element if asked to."""
    least, mean, most = statistics.atoms_per_frame
    print_line(
        console,
        f"{_counted(statistics.n_frames, 'frame')} of {_counted(statistics.n_materials, 'material')}, "
        f"{_counted(statistics.n_atoms, 'atom')}: {least} to {most} a frame, {mean:.1f} in the mean",
    )
    rarest = sorted(statistics.elements.items(), key=lambda item: item[1])[:FEW]
    named = ", ".join(f"{chemical_symbols[number]} in {_counted(frames, 'frame')}" for number, (frames, _) in rarest)
    found = element_ranges(frozenset(statistics.elements))
    print_line(console, f"{_counted(len(statistics.elements), 'element')}: {found}; rarest: {named}")
    _print_sources(console, statistics)
    _print_labels(console, statistics)
    if all_elements:
        rows = [
            [chemical_symbols[number], f"{frames:,}", f"{atoms:,}"]
            for number, (frames, atoms) in statistics.elements.items()
        ]
        print_table(console, (Column("element", number=False), Column("frames"), Column("atoms")), rows)
    if statistics.outliers:
        print_line(console, f"{_counted(len(statistics.outliers), 'value')} far from the rest:")
        for outlier in statistics.outliers[:MOST_OUTLIERS]:
            print_line(console, f"  frame {outlier.number}, {outlier.frame_id}: {outlier.why}")
        if len(statistics.outliers) > MOST_OUTLIERS:
            print_line(console, f"  ... and {len(statistics.outliers) - MOST_OUTLIERS} more (--json lists them)")


def write_statistics(path: Path, statistics: DatasetStatistics) -> None:
    """Write all of it as JSON."""
    document = asdict(statistics)
    for fit in document["element_energies"].values():
        fit["undetermined"] = sorted(fit["undetermined"])
    with written_atomically(path) as temporary:
        temporary.write_text(json.dumps(document, ensure_ascii=False, default=str) + "\n")


def _counted(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"


def _print_sources(console: Console, statistics: DatasetStatistics) -> None:
    columns = (Column("source", number=False), Column("frames"), Column("left by element energies", "eV/atom"))
    if len(statistics.sources) > len(statistics.element_energies) + MOST_OUTLIERS:
        print_line(console, f"{len(statistics.sources):,} sources")
        return
    rows = []
    for source, n_frames in statistics.sources.items():
        fit = statistics.element_energies.get(source)
        rows.append([source, f"{n_frames:,}", NOTHING if fit is None else fixed(fit.rmse, 4)])
    print_table(console, columns, rows)


def _print_labels(console: Console, statistics: DatasetStatistics) -> None:
    numbers = ("mean", "rms", "median", "99 %", "largest")
    columns = (Column("magnitude of", number=False), Column("frames"), *(Column(name) for name in numbers))
    rows = []
    for name, label, distribution in (
        ("energy beyond the elements', eV/atom", "energy", statistics.residual),
        ("force components, eV/Å", "forces", statistics.forces),
        ("stress components, GPa", "stress", statistics.stress),
    ):
        values: list[Any] = [None] * len(numbers)
        if distribution is not None:
            values = [
                distribution.mean,
                distribution.rms,
                distribution.median,
                distribution.q99,
                distribution.largest,
            ]
        rows.append([name, f"{statistics.known[label]:,}", *(fixed(value, 3) for value in values)])
    print_table(console, columns, rows)
