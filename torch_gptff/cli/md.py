"""``torch-gptff md``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from torch_gptff.cli.existing import new_file
from torch_gptff.cli.options import AllowClose, Device, DType, Model, Overwrite, Precision, Reference, ReportFile
from torch_gptff.defaults import DEFAULT_MODEL


class Ensemble(str, Enum):
    """The names of :data:`torch_gptff.workflows.md.settings.ENSEMBLES`."""

    nve = "nve"
    nvt = "nvt"
    npt = "npt"


class Thermostat(str, Enum):
    """The names of :data:`torch_gptff.workflows.md.settings.THERMOSTATS`."""

    bussi = "bussi"
    langevin = "langevin"
    nose_hoover = "nose-hoover"
    berendsen = "berendsen"


class CellChange(str, Enum):
    """The names of :data:`torch_gptff.workflows.md.settings.CELLS`."""

    isotropic = "isotropic"
    anisotropic = "anisotropic"
    full = "full"


class Axis(str, Enum):
    """The names of :data:`torch_gptff.workflows.md.settings.AXES`."""

    a = "a"
    b = "b"
    c = "c"


def md(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A structure file of any format that ASE or pymatgen reads; of several frames, "
            "[bold]md.xyz@-1[/bold] takes one.",
            show_default=False,
        ),
    ],
    model: Model = DEFAULT_MODEL,
    reference: Reference = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="TRAJ", help="The trajectory; by default [bold]md-FILE.traj[/bold] here."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the trajectory, which was killed, or is to be longer.", is_eager=True
        ),
    ] = False,
    overwrite: Overwrite = False,
    json: Annotated[
        Path | None,
        typer.Option("--json", metavar="OUT", help="Write averages and series to a JSON file.", callback=new_file),
    ] = None,
    report: ReportFile = None,
    repeat: Annotated[str, typer.Option(metavar="AxBxC", help="Repeat the cell before: [bold]3x3x2[/bold].")] = "1x1x1",
    ensemble: Annotated[
        Ensemble, typer.Option(help="What is kept: energy; temperature; or temperature and pressure.")
    ] = Ensemble.nvt,
    steps: Annotated[int, typer.Option(help="Steps of integration.")] = 1000,
    timestep: Annotated[float, typer.Option(help="In fs.")] = 1.0,
    temperature: Annotated[float, typer.Option(help="That is kept, and of the first velocities, in K.")] = 300.0,
    final_temperature: Annotated[
        float | None, typer.Option(help="Heat or cool to this temperature, linearly, in K.")
    ] = None,
    thermostat: Annotated[
        Thermostat, typer.Option(help="Of nvt; npt has Nosé-Hoover chains.", case_sensitive=False)
    ] = Thermostat.bussi,
    thermostat_time: Annotated[
        float | None, typer.Option(help="Of the thermostat, in fs; by default 100 timesteps.", show_default=False)
    ] = None,
    pressure: Annotated[float, typer.Option(help="Of npt, in GPa.")] = 0.0,
    cell: Annotated[
        CellChange,
        typer.Option(help="How npt changes the cell: by one factor, each length by its own, or freely."),
    ] = CellChange.isotropic,
    barostat_time: Annotated[
        float | None, typer.Option(help="Of the barostat, in fs; by default 1000 timesteps.", show_default=False)
    ] = None,
    strain: Annotated[
        float, typer.Option(help="Stretch a cell vector by this fraction until the end, linearly; 0.2 is 20 %.")
    ] = 0.0,
    strain_axis: Annotated[Axis, typer.Option(help="The cell vector that is stretched.")] = Axis.c,
    interval: Annotated[int, typer.Option(help="Steps between frames.")] = 10,
    restart_interval: Annotated[
        int | None,
        typer.Option(help="Steps between frames to resume from; by default 100 frames.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of first velocities and random forces.")] = 0,
    allow_close: AllowClose = False,
    device: Device = None,
    dtype: Precision = DType.float32,
) -> None:
    """Molecular dynamics: NVE, NVT or NPT, at a temperature or a ramp, and under strain.

    The trajectory is of ASE's format. A run that was killed goes on with --resume, exactly as if it had not been.
    """
    from torch_gptff.cli.output import make_console

    console = make_console()
    with console.status(f"loading {model}"):
        from torch_gptff.cli.model import load_potential
        from torch_gptff.cli.molecular_dynamics import Task, parse_repeat, run_md
        from torch_gptff.workflows import MolecularDynamicsSettings

        cells = parse_repeat(repeat)
        settings = MolecularDynamicsSettings(
            ensemble=ensemble.value,
            steps=steps,
            timestep=timestep,
            temperature=temperature,
            final_temperature=final_temperature,
            thermostat=thermostat.value,
            thermostat_time=100 * timestep if thermostat_time is None else thermostat_time,
            pressure=pressure,
            cell=cell.value,
            barostat_time=1000 * timestep if barostat_time is None else barostat_time,
            strain=strain,
            strain_axis=strain_axis.value,
            interval=interval,
            restart_interval=100 * interval if restart_interval is None else restart_interval,
            seed=seed,
        )
        potential = load_potential(model, device, dtype, reference)

    task = Task(
        file=file,
        allow_close=allow_close,
        repeat=cells,
        out=out,
        resume=resume,
        overwrite=overwrite,
        json=json,
        report=report,
    )
    if not run_md(task, potential, settings, console, f"{model}, {dtype.value}"):
        raise typer.Exit(1)
