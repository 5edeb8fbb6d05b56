"""Labelled data that commands are given: their options, and how they are opened with a line of progress."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from torch_gptff.datasets import WatchedSource

Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA",
        help="Files or folders: extxyz and whatever else ASE reads, ASE databases, vasprun.xml and OUTCAR, DeePMD npy "
        "systems, JSON of MPtrj, MatPES, mlearn and ACWF, the published GPTFF's CSV, a stored dataset; or a published "
        "dataset by name, such as [bold]mlearn[/bold].",
        show_default=False,
    ),
]
Format = Annotated[
    str | None, typer.Option("--format", help="Format of DATA; by default found from its name and content.")
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        help="Option of the format: [bold]type_map=Li,Ge,P,S[/bold], [bold]energy_key=dft_energy[/bold], "
        "[bold]stress_unit=kbar[/bold], ...",
        show_default=False,
    ),
]
ReaderOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="KEY=VALUE",
        help="Option of the format of the data: [bold]naming=REF_[/bold], [bold]energy_key=dft_energy[/bold], "
        "[bold]keep=band_gap,magmom[/bold], ...",
        show_default=False,
    ),
]
SourceName = Annotated[
    str | None,
    typer.Option("--source", help="Name of DATA as a source. Energies of one source share their reference."),
]

FRAMES_BETWEEN_SIGNS = 100
"""Frames between two updates of the line of progress."""


def opened(
    data: Sequence[str], format: str | None, options: Sequence[str] | None, name: str | None, console: Console
) -> Any:
    """Open data as one dataset: a stored one in its place, anything else in memory."""
    from torch_gptff.datasets import open_dataset

    with watched(data, format, options, name, console) as sources:
        return open_dataset(sources)


@contextmanager
def watched(
    data: Sequence[str], format: str | None, options: Sequence[str] | None, name: str | None, console: Console
) -> Iterator[list[WatchedSource]]:
    """Sources of data, with a line of progress while they are read."""
    from torch_gptff.cli.output import make_progress
    from torch_gptff.datasets import NAMED, Source, WatchedSource, named_sources

    with make_progress(console) as progress:
        task, read = progress.add_task("reading"), 0

        def tick() -> None:
            nonlocal read
            read += 1
            if read % FRAMES_BETWEEN_SIGNS == 0:
                progress.update(task, description=f"{read:,} frames")

        yield [
            WatchedSource(source.path, format or source.format, name, {**source.options, **parsed(options)}, tick)
            for each in data
            for source in (named_sources(each) if each in NAMED and not Path(each).exists() else [Source(each)])
        ]


def parsed(options: Sequence[str] | None) -> dict[str, Any]:
    """``["type_map=Li,O", "energy_key=dft"]`` as a dictionary.

    Raises:
        typer.BadParameter: there is no ``=`` in one.
    """
    values: dict[str, Any] = {}
    for option in options or ():
        key, equals, value = option.partition("=")
        if not equals:
            raise typer.BadParameter(f"{option!r} is not KEY=VALUE", param_hint="--option")
        values[key] = value.split(",") if key == "type_map" else value
    return values
