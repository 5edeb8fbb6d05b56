"""``torch-gptff diffraction``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from torch_gptff.cli import options

Axis = Literal["frame", "time", "strain-a", "strain-b", "strain-c"]


def diffraction(
    trajectory: Annotated[
        str,
        typer.Argument(
            metavar="TRAJECTORY",
            help="A trajectory or a structure, of any format that ASE reads; [bold]md.traj@::100[/bold] takes every "
            "hundredth frame.",
            show_default=False,
        ),
    ],
    wavelength: Annotated[
        str,
        typer.Option(
            help="Wavelength: [bold]CuKa[/bold], [bold]MoKa[/bold], [bold]CuKa1[/bold], ... or a number in Å."
        ),
    ] = "CuKa",
    two_theta: Annotated[tuple[float, float], typer.Option(metavar="FROM TO", help="Range of angles 2θ, degrees.")] = (
        10.0,
        90.0,
    ),
    fwhm: Annotated[float, typer.Option(help="Width of the reflections at half height, degrees.", min=0.01)] = 0.4,
    against: Annotated[
        Axis, typer.Option(help="Vertical axis of the map in the report; a strain is that of a cell vector.")
    ] = "frame",
    structures: Annotated[
        bool, typer.Option("--structures/--no-structures", help="Classify atoms as fcc, hcp, bcc and other.")
    ] = True,
    json: options.JsonAtTheEnd = None,
    report: options.ReportFile = None,
    overwrite: options.Overwrite = False,
    allow_close: options.AllowClose = False,
) -> None:
    """Powder diffraction along a trajectory: peaks as they move, and the structure about each atom."""
    from torch_gptff.cli.output import make_console, make_progress, print_line, print_table
    from torch_gptff.errors import DiffractionError
    from torch_gptff.graph.contacts import checked_frames
    from torch_gptff.report import Named
    from torch_gptff.workflows import diffraction_series, iterate_frames
    from torch_gptff.workflows.reports.diffraction import diffraction_report

    console = make_console()
    with make_progress(console) as progress:
        task = progress.add_task(trajectory)
        series = diffraction_series(
            checked_frames(iterate_frames(trajectory), trajectory, allow_close),
            wavelength=_number_or_name(wavelength),
            two_theta=two_theta,
            fwhm=fwhm,
            structures=structures,
            on_frame=lambda number: progress.update(task, description=f"{trajectory}: frame {number}"),
        )
    if against == "time" and series.times is None:
        raise DiffractionError(f"{trajectory} does not tell times: show it against frames")
    print_table(console, series.peak_table())
    if series.fractions is not None:
        for name, row in (("first", 0), ("last", -1)):
            shares = zip(series.structures, series.fractions[row], strict=True)
            told = ", ".join(f"{100 * share:.1f} % {structure}" for structure, share in shares if share > 0)
            print_line(console, f"{name} frame: {told}")
    if json is not None:
        series.save(json)
    if report is not None:
        diffraction_report(series, against, Named(Path(trajectory).name, trajectory)).save(report)


def _number_or_name(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
