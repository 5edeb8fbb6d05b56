"""``torch-gptff md``."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from ase import Atoms
    from rich.console import Console

    from torch_gptff.workflows import MolecularDynamicsFrame, MolecularDynamicsSettings


Ensemble = Literal["nve", "nvt", "npt"]
"""Names of :data:`torch_gptff.workflows.md.settings.ENSEMBLES`."""

Thermostat = Literal["bussi", "langevin", "nose-hoover", "berendsen"]
"""Names of :data:`torch_gptff.workflows.md.settings.THERMOSTATS`."""

CellChange = Literal["isotropic", "anisotropic", "full"]
"""Names of :data:`torch_gptff.workflows.md.settings.CELLS`."""

Axis = Literal["a", "b", "c"]
"""Names of :data:`torch_gptff.workflows.md.settings.AXES`."""

LINES = 10
"""Lines of progress of a run, where there is no terminal."""


def md(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A structure file of any format that ASE or pymatgen reads; of several frames, "
            "[bold]md.xyz@-1[/bold] takes one.",
            show_default=False,
        ),
    ],
    model: options.Model = DEFAULT_MODEL,
    reference: options.Reference = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="TRAJ",
            help="Trajectory file; by default [bold]md-FILE.traj[/bold] in the current folder.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue the trajectory of a run that was stopped, or make it longer.", is_eager=True
        ),
    ] = False,
    overwrite: options.Overwrite = False,
    json: options.JsonAtTheEnd = None,
    report: options.ReportFile = None,
    csv: options.CsvFile = None,
    poscar: Annotated[
        Path | None,
        typer.Option(
            "--poscar", metavar="OUT", help="POSCAR file of the last frame, of a crystal.", callback=options.new_file
        ),
    ] = None,
    equilibrate: Annotated[
        float,
        typer.Option(
            metavar="PS",
            help="Time before the run, ps, at its first temperature and pressure; nve equilibrates as nvt. Its frames "
            "go to a trajectory of their own, and take no part in averages.",
            min=0,
        ),
    ] = 0.0,
    repeat: Annotated[
        str, typer.Option(metavar="AxBxC", help="Repetitions of the cell: [bold]3x3x2[/bold].")
    ] = "1x1x1",
    ensemble: Annotated[
        Ensemble, typer.Option(help="Ensemble: constant energy, temperature, or temperature and pressure.")
    ] = "nvt",
    steps: Annotated[int, typer.Option(help="Number of time steps.")] = 1000,
    timestep: Annotated[float, typer.Option(help="Time step, fs.")] = 1.0,
    temperature: Annotated[
        float, typer.Option(help="Temperature of the thermostat and of the initial velocities, K.")
    ] = 300.0,
    final_temperature: Annotated[
        float | None, typer.Option(help="Temperature at the end, K: the thermostat changes linearly.")
    ] = None,
    thermostat: Annotated[
        Thermostat, typer.Option(help="Thermostat of nvt; npt uses Nosé-Hoover chains.", case_sensitive=False)
    ] = "bussi",
    thermostat_time: Annotated[
        float | None,
        typer.Option(help="Relaxation time of the thermostat, fs; by default 100 time steps.", show_default=False),
    ] = None,
    pressure: Annotated[float, typer.Option(help="Pressure of npt, GPa.")] = 0.0,
    cell: Annotated[
        CellChange,
        typer.Option(help="How npt changes the cell: by one factor, each length by its own factor, or freely."),
    ] = "isotropic",
    mask: Annotated[
        str,
        typer.Option(
            metavar="A,B,C",
            help="Which of the cell vectors a, b and c [bold]--cell anisotropic[/bold] changes, 1, and keeps, 0: "
            "[bold]0,0,1[/bold] changes c.",
        ),
    ] = "1,1,1",
    barostat_time: Annotated[
        float | None,
        typer.Option(help="Relaxation time of the barostat, fs; by default 1000 time steps.", show_default=False),
    ] = None,
    strain: Annotated[
        float, typer.Option(help="Fraction by which a cell vector is stretched linearly until the end; 0.2 is 20 %.")
    ] = 0.0,
    strain_axis: Annotated[Axis, typer.Option(help="Cell vector that is stretched.")] = "c",
    interval: Annotated[int, typer.Option(help="Time steps between frames.")] = 10,
    restart_interval: Annotated[
        int | None,
        typer.Option(
            help="Time steps between frames that a run can be resumed from; by default 100 frames.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the initial velocities and random forces.")] = 0,
    d3: options.Dispersion = False,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float32",
) -> None:
    """Molecular dynamics: NVE, NVT or NPT, at a temperature or a ramp, and under strain.

    The trajectory is of ASE's format. A run that was killed goes on with --resume, exactly as if it had not been.
    """
    from torch_gptff.calculators import GPTFFCalculator, with_dispersion
    from torch_gptff.cli.errors import tell
    from torch_gptff.cli.output import make_console, print_line, print_table, write_csv
    from torch_gptff.cli.watching import watcher_of
    from torch_gptff.io.structures import split_index, write_poscar
    from torch_gptff.workflows import MolecularDynamicsSettings, molecular_dynamics
    from torch_gptff.workflows.md.equilibration import equilibrated, equilibration
    from torch_gptff.workflows.md.remarks import foreseen
    from torch_gptff.workflows.md.trajectory import TrajectoryFile
    from torch_gptff.workflows.reports.md import md_report

    settings = MolecularDynamicsSettings(
        ensemble=ensemble,
        steps=steps,
        timestep=timestep,
        temperature=temperature,
        final_temperature=final_temperature,
        thermostat=thermostat,
        thermostat_time=100 * timestep if thermostat_time is None else thermostat_time,
        pressure=pressure,
        cell=cell,
        mask=free_axes(mask),
        barostat_time=1000 * timestep if barostat_time is None else barostat_time,
        strain=strain,
        strain_axis=strain_axis,
        interval=interval,
        restart_interval=100 * interval if restart_interval is None else restart_interval,
        seed=seed,
    )
    cells, source = repetitions(repeat), split_index(file)[0]
    console = make_console()
    with console.status(f"loading {model}"):
        potential = options.load_potential(model, device, dtype, reference)
    calculator = GPTFFCalculator(potential, device=next(potential.parameters()).device)
    atoms = _structure(file, cells, allow_close)
    if out is None:
        out = Path(f"md-{Path(re.sub(r'[.](gz|bz2|xz)$', '', str(source))).stem}.traj")
    if out.suffix != ".traj":
        raise typer.BadParameter(f"{out} must end in .traj", param_hint="--out")
    if out.resolve() == source.resolve():
        raise typer.BadParameter(f"{out} is the file that is read", param_hint="--out")
    if poscar is not None and not atoms.pbc.all():
        raise typer.BadParameter(f"{file} is no crystal, and POSCAR holds crystals", param_hint="--poscar")
    told = foreseen(atoms, settings)
    for remark in told:
        tell("warning", remark)
    watcher = watcher_of(context)
    forces = with_dispersion(calculator) if d3 else calculator
    if equilibrate:
        before = equilibration(settings, equilibrate)
        print_line(console, f"equilibrating for {before.steps * timestep / 1000:g} ps")
        with _Progress(console, before, len(atoms)) as progress:
            atoms, problem = equilibrated(
                atoms, forces, before, out, resume=resume, overwrite=overwrite, on_frame=progress.show
            )
        if problem is not None:
            tell("error", f"equilibration: {problem}")
            raise typer.Exit(1)
    with _Progress(console, settings, len(atoms)) as progress:

        def show(frame: MolecularDynamicsFrame) -> None:
            watcher.told(progress.show(frame), forces, frame, frame.step / steps)

        run = molecular_dynamics(
            atoms,
            forces,
            settings,
            trajectory=out,
            resume=resume,
            overwrite=overwrite,
            on_frame=show,
        )
    if run.problem is not None:
        tell("error", run.problem)
    for remark in run.remarks:
        if remark not in told:
            tell("warning", remark)
    picoseconds = run.steps * timestep / 1000
    print_line(console, f"{picoseconds:g} ps of {run.n_atoms} atoms in {run.n_frames} frames -> {out}")
    watcher.found(run.averages_table())
    print_table(console, run.averages_table())
    if run.drift is not None:
        print_line(console, f"drift of the conserved energy: {1000 * run.drift:.3g} meV/atom/ps")
    if json is not None:
        run.save(json)
    with TrajectoryFile(out) as frames:
        if csv is not None:
            write_csv(csv, frames.thermodynamics().table())
        if poscar is not None:
            write_poscar(poscar, frames[-1])
    if report is not None:
        with TrajectoryFile(out) as frames:
            md_report(run, f"{model}{' with D3(BJ) dispersion' * d3}, {dtype}.", frames).save(report)
    if run.problem is not None:
        raise typer.Exit(1)


class _Progress:
    """Progress of a run: on one line of a terminal, elsewhere on :data:`LINES` lines."""

    def __init__(self, console: Console, settings: MolecularDynamicsSettings, n_atoms: int) -> None:
        from torch_gptff.cli.output import make_progress

        self._console = console
        self._settings = settings
        self._n_atoms = n_atoms
        self._progress = make_progress(console)
        self._task = self._progress.add_task("")
        self._first: tuple[int, float] | None = None
        self._lines = 0

    def __enter__(self) -> _Progress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, frame: MolecularDynamicsFrame) -> str:
        """Show a frame, see :func:`torch_gptff.workflows.molecular_dynamics`, ``on_frame``, and return the words."""
        from torch_gptff.cli.output import print_line

        now = time.perf_counter()
        if self._first is None:
            self._first = (frame.step, now)
        done, since = frame.step - self._first[0], now - self._first[1]
        speed = ""
        if done > 0 and since > 0:
            speed = f", {done * self._settings.timestep * 1e-6 / since * 86_400:.3g} ns/day"
        pressure = "" if frame.pressure is None else f", {frame.pressure:.2f} GPa"
        words = (
            f"step {frame.step}/{self._settings.steps}: {frame.temperature:.0f} K{pressure}, "
            f"{frame.potential_energy / self._n_atoms:.4f} eV/atom{speed}"
        )
        if self._console.is_terminal:
            self._progress.update(self._task, description=words)
        elif frame.step * LINES >= self._lines * self._settings.steps:
            print_line(self._console, words)
            self._lines = frame.step * LINES // self._settings.steps + 1
        return words


def repetitions(text: str) -> tuple[int, int, int]:
    """Three numbers, ``"3x3x2"``.

    Raises:
        typer.BadParameter: it is something else.
    """
    match = re.fullmatch(r"([1-9]\d*)[x×,]([1-9]\d*)[x×,]([1-9]\d*)", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not three numbers, such as 3x3x2", param_hint="--repeat")
    a, b, c = (int(number) for number in match.groups())
    return a, b, c


def free_axes(text: str) -> tuple[bool, bool, bool]:
    """Which of three cell vectors change, ``"0,0,1"``.

    Raises:
        typer.BadParameter: it is something else.
    """
    match = re.fullmatch(r"([01]),([01]),([01])", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a 1 or 0 for each of a, b and c, such as 0,0,1", param_hint="--mask")
    a, b, c = (digit == "1" for digit in match.groups())
    return a, b, c


def _structure(file: str, repeat: tuple[int, int, int], allow_close: bool) -> Atoms:
    """The one structure of a file, with its cell repeated."""
    from torch_gptff.errors import MissingCellError, MolecularDynamicsError, UnreadableStructureError
    from torch_gptff.graph.contacts import check_contacts
    from torch_gptff.io.structures import read_labelled

    structures = read_labelled(file)
    if len(structures) > 1:
        raise UnreadableStructureError(f"{file} has {len(structures)} structures: name one, {file}@0")
    (atoms,) = structures.values()
    if not allow_close:
        check_contacts(atoms)
    if repeat == (1, 1, 1):
        return atoms
    try:
        return atoms.repeat(repeat)
    except NotImplementedError as error:
        raise MolecularDynamicsError(
            f"the constraints of {file} ({_names(atoms)}) cannot be repeated with the cell: repeat the structure "
            "first, and set its constraints then"
        ) from error
    except ValueError as error:
        raise MissingCellError(f"{file} has no cell vector along a direction that is repeated ({error})") from error


def _names(atoms: Atoms) -> str:
    return ", ".join(sorted({type(constraint).__name__ for constraint in atoms.constraints}))
