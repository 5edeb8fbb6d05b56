"""``torch-gptff diffusion``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from torch_gptff.cli.errors import Failures
from torch_gptff.cli.existing import new_file
from torch_gptff.cli.options import JsonAtTheEnd, Overwrite, ReportFile


class Rest(str, Enum):
    """What is kept at rest, see :func:`torch_gptff.workflows.ion_motion`."""

    mass = "mass"
    framework = "framework"
    nothing = "nothing"


def diffusion(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="TRAJECTORIES",
            help="Of one material, each at a temperature of its own: .traj, extxyz or any other format that ASE reads; "
            "[bold]md.traj@1000:[/bold] takes a part.",
            show_default=False,
        ),
    ],
    species: Annotated[str, typer.Option("--species", "-s", help="The ions: Li, Na, ...", show_default=False)],
    timestep: Annotated[
        float | None,
        typer.Option(help="Between frames, in fs; needed where they do not tell.", metavar="FS", show_default=False),
    ] = None,
    temperature: Annotated[
        list[float] | None,
        typer.Option(
            "--temperature",
            "-t",
            metavar="K",
            help="One for each trajectory, in their order; by default those of the velocities.",
            show_default=False,
        ),
    ] = None,
    charge: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EL=Q",
            help="The charge of an element, [bold]Li=1[/bold], for conductivities; may be given several times.",
            show_default=False,
        ),
    ] = None,
    skip: Annotated[float, typer.Option(help="Leave out the beginning, in ps.", min=0)] = 0.0,
    rest: Annotated[
        Rest, typer.Option(help="What is at rest: the centre of mass, the other elements, or nothing.")
    ] = Rest.mass,
    blocks: Annotated[int, typer.Option(help="Into which a trajectory is divided for its errors.", min=3)] = 10,
    fit: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="FROM TO", help="Lags of the fit, in ps; by default 0.1 to 0.5 blocks.", show_default=False
        ),
    ] = None,
    regimes: Annotated[
        int | None,
        typer.Option(
            help="Arrhenius lines; by default two where the evidence is strong.", min=1, max=2, show_default=False
        ),
    ] = None,
    density: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write the density of ions as cube files.", show_default=False, callback=new_file
        ),
    ] = None,
    json: JsonAtTheEnd = None,
    report: ReportFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Diffusion coefficients and conductivities from trajectories, and activation energies from several."""
    from torch_gptff.cli.diffusion_runs import Settings, analyze_all
    from torch_gptff.cli.output import make_console

    if temperature and len(temperature) != len(files):
        raise typer.BadParameter(
            f"{len(temperature)} for {len(files)} trajectories: give one for each", param_hint="--temperature"
        )
    origins = {Rest.mass: "center of mass", Rest.framework: "framework", Rest.nothing: "laboratory"}
    settings = Settings(
        species=species,
        timestep=timestep,
        temperatures=tuple(temperature) if temperature else (None,) * len(files),
        charges=dict(_charge(each) for each in charge or ()),
        skip=skip,
        origin=origins[rest],  # type: ignore[arg-type]
        n_blocks=blocks,
        fit_range=fit,
        regimes=regimes,  # type: ignore[arg-type]
    )
    failures = Failures(context)
    analyze_all(files, settings, make_console(), failures, density, json, report)
    if failures:
        raise typer.Exit(1)


def _charge(text: str) -> tuple[str, float]:
    element, _, value = text.partition("=")
    try:
        return element, float(value)
    except ValueError:
        raise typer.BadParameter(f"{text} is not an element and its charge, Li=1", param_hint="--charge") from None
