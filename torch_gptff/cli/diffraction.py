"""``torch-gptff diffraction``."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from torch_gptff.cli.options import AllowClose, JsonAtTheEnd, Overwrite, ReportFile


class Axis(str, Enum):
    """What a trajectory is shown against."""

    frame = "frame"
    time = "time"
    strain_a = "strain-a"
    strain_b = "strain-b"
    strain_c = "strain-c"


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
        str, typer.Option(help="[bold]CuKa[/bold], [bold]MoKa[/bold], [bold]CuKa1[/bold], ... or Å.")
    ] = "CuKa",
    two_theta: Annotated[tuple[float, float], typer.Option(metavar="FROM TO", help="Angles 2θ, in degrees.")] = (
        10.0,
        90.0,
    ),
    fwhm: Annotated[float, typer.Option(help="Width of the reflections, in degrees.", min=0.01)] = 0.4,
    against: Annotated[
        Axis, typer.Option(help="What the report shows patterns against: the strain is that of a cell vector.")
    ] = Axis.frame,
    structures: Annotated[
        bool, typer.Option("--structures/--no-structures", help="Classify atoms as fcc, hcp, bcc and other.")
    ] = True,
    json: JsonAtTheEnd = None,
    report: ReportFile = None,
    overwrite: Overwrite = False,
    allow_close: AllowClose = False,
) -> None:
    """Powder diffraction along a trajectory: peaks as they move, and the structure about each atom."""
    from torch_gptff.cli.diffraction_series import analyze
    from torch_gptff.cli.output import make_console

    try:
        beam: str | float = float(wavelength)
    except ValueError:
        beam = wavelength
    analyze(
        trajectory,
        make_console(),
        wavelength=beam,
        two_theta=two_theta,
        fwhm=fwhm,
        structures=structures,
        against=against.value,
        json=json,
        report=report,
        allow_close=allow_close,
    )
