"""A run of molecular dynamics: progress, and what is written where."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

import typer
from ase import Atoms
from rich.console import Console

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.cli.errors import tell
from torch_gptff.cli.output import Column, fixed, make_progress, print_line, print_table
from torch_gptff.errors import MissingCellError, MolecularDynamicsError, UnreadableStructureError
from torch_gptff.graph.contacts import check_contacts
from torch_gptff.io.structures import read_labelled, split_index
from torch_gptff.potential import Potential
from torch_gptff.workflows import (
    MolecularDynamicsFrame,
    MolecularDynamicsRun,
    MolecularDynamicsSettings,
    molecular_dynamics,
)
from torch_gptff.workflows.md.remarks import foreseen
from torch_gptff.workflows.reports.md import md_report

COLUMNS = (
    Column("", number=False),
    Column("T", "K"),
    Column("P", "GPa"),
    Column("E pot", "eV/atom"),
    Column("V", "Å³/atom"),
)

LINES = 10
"""Of a run, where there is no terminal to show progress on."""


@dataclass(frozen=True)
class Task:
    """What to move, and what to write: the options of ``torch-gptff md`` that are no settings of the run."""

    file: str
    allow_close: bool
    repeat: tuple[int, int, int]
    out: Path | None
    resume: bool
    overwrite: bool
    json: Path | None
    report: Path | None


class Progress:
    """Tells how a run goes: on the line of a terminal, or now and then in a line of its own."""

    def __init__(self, console: Console, settings: MolecularDynamicsSettings, n_atoms: int) -> None:
        self._console = console
        self._settings = settings
        self._n_atoms = n_atoms
        self._progress = make_progress(console)
        self._task = self._progress.add_task("")
        self._first: tuple[int, float] | None = None
        self._lines = 0

    def __enter__(self) -> Progress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, frame: MolecularDynamicsFrame) -> None:
        """See :func:`torch_gptff.workflows.molecular_dynamics`, ``on_frame``."""
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


def run_md(task: Task, potential: Potential, settings: MolecularDynamicsSettings, console: Console, about: str) -> bool:
    """Run, and tell what came of it.

    Returns:
        whether the run came to its end
    """
    atoms = _structure(task)
    stem = Path(re.sub(r"\.(gz|bz2|xz)$", "", str(split_index(task.file)[0]))).stem
    out = task.out if task.out is not None else Path(f"md-{stem}.traj")
    if out.suffix != ".traj":
        raise typer.BadParameter(f"{out} must end in .traj", param_hint="--out")
    if out.resolve() == split_index(task.file)[0].resolve():
        raise typer.BadParameter(f"{out} is the file that is read", param_hint="--out")
    calculator = GPTFFCalculator(potential, device=next(potential.parameters()).device)
    told = foreseen(atoms, settings)
    for remark in told:
        tell("warning", remark)
    with Progress(console, settings, len(atoms)) as progress:
        run = molecular_dynamics(
            atoms,
            calculator,
            settings,
            trajectory=out,
            resume=task.resume,
            overwrite=task.overwrite,
            on_frame=progress.show,
        )
    if run.problem is not None:
        tell("error", run.problem)
    for remark in run.remarks:
        if remark not in told:
            tell("warning", remark)
    picoseconds = run.steps * settings.timestep / 1000
    print_line(console, f"{picoseconds:g} ps of {run.n_atoms} atoms in {run.n_frames} frames -> {out}")
    print_table(console, COLUMNS, _rows(run))
    if run.drift is not None:
        print_line(console, f"drift of the conserved energy: {1000 * run.drift:.3g} meV/atom/ps")
    if task.json is not None:
        run.save(task.json)
    if task.report is not None:
        md_report(run, f"{about}.").save(task.report)
    return run.problem is None


def parse_repeat(text: str) -> tuple[int, int, int]:
    """Three numbers, ``"3x3x2"``.

    Raises:
        typer.BadParameter: it is something else.
    """
    match = re.fullmatch(r"([1-9]\d*)[x×,]([1-9]\d*)[x×,]([1-9]\d*)", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not three numbers, such as 3x3x2", param_hint="--repeat")
    a, b, c = (int(number) for number in match.groups())
    return a, b, c


def _structure(task: Task) -> Atoms:
    structures = read_labelled(task.file)
    if len(structures) > 1:
        raise UnreadableStructureError(f"{task.file} has {len(structures)} structures: name one, {task.file}@0")
    (atoms,) = structures.values()
    if not task.allow_close:
        check_contacts(atoms)
    if task.repeat == (1, 1, 1):
        return atoms
    try:
        return atoms.repeat(task.repeat)
    except NotImplementedError as error:
        raise MolecularDynamicsError(
            f"the constraints of {task.file} ({_names(atoms)}) cannot be repeated with the cell: repeat the structure "
            "first, and set its constraints then"
        ) from error
    except ValueError as error:
        raise MissingCellError(
            f"{task.file} has no cell vector along a direction that is repeated ({error})"
        ) from error


def _names(atoms: Atoms) -> str:
    return ", ".join(sorted({type(constraint).__name__ for constraint in atoms.constraints}))


def _rows(run: MolecularDynamicsRun) -> list[list[str]]:
    rows = []
    for name, attribute in (("mean", "mean"), ("standard deviation", "standard_deviation")):
        values = {key: getattr(average, attribute) for key, average in run.averages.items()}
        volume = values.get("volume")
        rows.append(
            [
                f"{name}, second half",
                fixed(values["temperature"], 1),
                fixed(values.get("pressure"), 3),
                fixed(values["potential_energy"] / run.n_atoms, 4),
                fixed(None if volume is None else volume / run.n_atoms, 3),
            ]
        )
    return rows
