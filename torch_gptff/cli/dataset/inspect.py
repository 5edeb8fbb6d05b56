"""``torch-gptff dataset inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from torch_gptff.cli import options, sources

if TYPE_CHECKING:
    from rich.console import Console

    from torch_gptff.datasets import DatasetStatistics

MOST_OUTLIERS = 10
"""Number of outliers that are printed; the JSON file has all."""

FEW = 5
"""Number of the rarest elements that are printed."""


def inspect(
    data: sources.Data,
    format: sources.Format = None,
    option: sources.Options = None,
    source: sources.SourceName = None,
    elements: Annotated[bool, typer.Option("--elements", help="List every element.")] = False,
    json: Annotated[
        Path | None,
        typer.Option(
            "--json", metavar="OUT", help="JSON file of all statistics.", show_default=False, callback=options.new_file
        ),
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Show what data hold: elements, labels and their distributions, outliers, and signs of wrong units."""
    from torch_gptff.cli.errors import tell, tell_notes
    from torch_gptff.cli.output import make_console
    from torch_gptff.datasets import dataset_statistics

    tell_notes()
    console = make_console()
    statistics = dataset_statistics(sources.opened(data, format, option, source, console))
    if json is not None:
        _write(json, statistics)
    _print(console, statistics, all_elements=elements)
    for suspicion in statistics.suspicions:
        tell("warning", suspicion)


def _print(console: Console, statistics: DatasetStatistics, all_elements: bool) -> None:
    """Print a summary, and every element if asked to."""
    from ase.data import chemical_symbols

    from torch_gptff.cli.output import print_line, print_table
    from torch_gptff.graph.checks import element_ranges
    from torch_gptff.report import Column, Table

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
        rows = [[chemical_symbols[number], *counts] for number, counts in statistics.elements.items()]
        print_table(console, Table((Column("element"), Column("frames"), Column("atoms")), rows))
    if statistics.outliers:
        print_line(console, f"{_counted(len(statistics.outliers), 'value')} far from the rest:")
        for outlier in statistics.outliers[:MOST_OUTLIERS]:
            print_line(console, f"  frame {outlier.number}, {outlier.frame_id}: {outlier.why}")
        if len(statistics.outliers) > MOST_OUTLIERS:
            print_line(console, f"  ... and {len(statistics.outliers) - MOST_OUTLIERS} more (--json lists them)")


def _write(path: Path, statistics: DatasetStatistics) -> None:
    """Write all statistics as JSON."""
    import json
    from dataclasses import asdict

    from torch_gptff.io.files import written_atomically

    document = asdict(statistics)
    for fit in document["element_energies"].values():
        fit["undetermined"] = sorted(fit["undetermined"])
    with written_atomically(path) as temporary:
        temporary.write_text(json.dumps(document, ensure_ascii=False, default=str) + "\n")


def _counted(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"


def _print_sources(console: Console, statistics: DatasetStatistics) -> None:
    from torch_gptff.cli.output import print_line, print_table
    from torch_gptff.report import Column, Table

    columns = (Column("source"), Column("frames"), Column("left by element energies", "eV/atom", 4))
    if len(statistics.sources) > len(statistics.element_energies) + MOST_OUTLIERS:
        print_line(console, f"{len(statistics.sources):,} sources")
        return
    rows = []
    for source, n_frames in statistics.sources.items():
        fit = statistics.element_energies.get(source)
        rows.append([source, n_frames, None if fit is None else fit.rmse])
    print_table(console, Table(columns, rows))


def _print_labels(console: Console, statistics: DatasetStatistics) -> None:
    from torch_gptff.cli.output import print_table
    from torch_gptff.report import Column, Table

    numbers = ("mean", "rms", "median", "99 %", "largest")
    columns = (Column("magnitude of"), Column("frames"), *(Column(name, decimals=3) for name in numbers))
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
        rows.append([name, statistics.known[label], *values])
    print_table(console, Table(columns, rows))
