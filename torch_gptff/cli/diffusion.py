"""``torch-gptff diffusion``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from torch_gptff.cli import options

if TYPE_CHECKING:
    from rich.console import Console

    from torch_gptff.workflows import ArrheniusFit, IonDensity
    from torch_gptff.workflows.diffusion.motion import Origin


Rest = Literal["mass", "framework", "nothing"]
ORIGINS: dict[Rest, Origin] = {"mass": "center of mass", "framework": "framework", "nothing": "laboratory"}
"""Origins of :func:`torch_gptff.workflows.ion_motion`."""


def diffusion(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="TRAJECTORIES",
            help="Trajectories of one material at different temperatures, in any format that ASE reads; "
            "[bold]md.traj@1000:[/bold] takes a part.",
            show_default=False,
        ),
    ],
    species: Annotated[
        str, typer.Option("--species", "-s", help="Element of the ions: Li, Na, ...", show_default=False)
    ],
    timestep: Annotated[
        float | None,
        typer.Option(
            help="Time between frames, fs; needed where the file does not state it.", metavar="FS", show_default=False
        ),
    ] = None,
    temperature: Annotated[
        list[float] | None,
        typer.Option(
            "--temperature",
            "-t",
            metavar="K",
            help="Temperature of each trajectory, K, in their order; by default from the velocities.",
            show_default=False,
        ),
    ] = None,
    charge: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EL=Q",
            help="Charge of an element, [bold]Li=1[/bold], for conductivities; may be given several times.",
            show_default=False,
        ),
    ] = None,
    skip: Annotated[float, typer.Option(help="Time left out at the beginning, ps.", min=0)] = 0.0,
    rest: Annotated[
        Rest,
        typer.Option(
            help="What displacements are relative to: the centre of mass, the framework of other elements, or nothing."
        ),
    ] = "mass",
    blocks: Annotated[
        int, typer.Option(help="Number of blocks of a trajectory, from which errors are estimated.", min=3)
    ] = 10,
    fit: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="FROM TO", help="Range of lags of the fit, ps; by default 0.1 to 0.5 blocks.", show_default=False
        ),
    ] = None,
    regimes: Annotated[
        int | None,
        typer.Option(
            help="Number of Arrhenius lines; by default two where the evidence is strong.",
            min=1,
            max=2,
            show_default=False,
        ),
    ] = None,
    density: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of cube files of the density of ions.",
            show_default=False,
            callback=options.new_file,
        ),
    ] = None,
    json: options.JsonAtTheEnd = None,
    report: options.ReportFile = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Diffusion coefficients and conductivities from trajectories, and activation energies from several."""
    from torch_gptff.cli.each import Input, Run, Tell
    from torch_gptff.cli.output import print_line
    from torch_gptff.cli.results import Results
    from torch_gptff.io.structures import split_index
    from torch_gptff.workflows import Diffusion, diffusion_series, ion_density, ion_motion, iterate_frames
    from torch_gptff.workflows import diffusion as diffusion_of
    from torch_gptff.workflows.reports.diffusion import diffusion_report

    if temperature and len(temperature) != len(files):
        raise typer.BadParameter(
            f"{len(temperature)} for {len(files)} trajectories: give one for each", param_hint="--temperature"
        )
    charges = dict(options.element_and_number(each, "--charge") for each in charge or ())
    densities: dict[str, IonDensity] = {}

    def compute(kelvin: float | None, _: None, tell: Tell) -> Diffusion:
        motion = ion_motion(
            iterate_frames(tell.label), species, timestep=timestep, charges=charges, origin=ORIGINS[rest], skip=skip
        )
        run = diffusion_of(motion, kelvin, n_blocks=blocks, fit_range=fit)
        if motion.is_crystal and (density or report):
            densities[tell.label] = ion_density(motion)
        return run

    run = Run(context)
    results = Results(Diffusion, None, {})
    kelvins: list[float | None] = list(temperature) if temperature else [None] * len(files)
    inputs = [
        Input(file, kelvin, "", f"{number}/{len(files)}")
        for number, (file, kelvin) in enumerate(zip(files, kelvins, strict=True), start=1)
    ]
    run.each(results, compute, inputs=inputs)
    if not len(results):
        raise typer.Exit(1)
    series = diffusion_series(dict(results.items()), regimes)  # type: ignore[arg-type]
    for file, each in results.items():
        for remark in each.remarks:
            print_line(run.console, f"{run.short(file)}: {remark}")
    run.print_records(results.items())
    for name, line in (("D", series.diffusivity_fit), ("σ", series.conductivity_fit)):
        if line is not None:
            _tell_fit(run.console, name, line)
    if density is not None:
        for number, (file, ions) in enumerate(densities.items(), start=1):
            ions.write_cube(density / f"{number:02d}-{split_index(file)[0].stem}-{species}.cube")
    if json is not None:
        series.save(json)
    if report is not None:
        structures = {file: next(iter(iterate_frames(file))) for file, _ in results.items()}
        diffusion_report(series, densities, structures=structures).save(report)
    run.end()


def _tell_fit(console: Console, name: str, fit: ArrheniusFit) -> None:
    from torch_gptff.cli.output import print_line
    from torch_gptff.workflows.reports.diffusion import ROOM

    regimes = ("",) if len(fit.lines) == 1 else (" at low T", " at high T")
    for regime, line in zip(regimes, fit.lines, strict=True):
        kelvins = f"{line.temperatures.min():.0f} to {line.temperatures.max():.0f} K"
        print_line(console, f"{name}: activation energy{regime} {line.activation_energy} eV ({kelvins})")
    if fit.crossing is not None:
        print_line(console, f"{name}: the lines cross at {fit.crossing} K")
    room, unit = fit.at(ROOM), "cm²/s" if fit.quantity == "diffusivity" else "mS/cm"
    print_line(console, f"{name}: {room.value:.2g} {unit} at 300 K, from {room.low:.2g} to {room.high:.2g} at 95 %")
