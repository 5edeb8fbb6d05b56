"""Relaxing a list of files: progress, what is written where, and a table at the end."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms
from rich.console import Console
from rich.progress import Progress

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.cli.errors import Failures
from torch_gptff.cli.output import (
    UNCERTAINTY,
    Column,
    fixed,
    formula_of,
    make_progress,
    per_atom,
    print_line,
    print_table,
    short_labels,
)
from torch_gptff.cli.results import Results
from torch_gptff.errors import ExistingResultsError
from torch_gptff.io.identity import structure_digest
from torch_gptff.io.structures import read_labelled, split_index, write_structures
from torch_gptff.potential import Potential
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows import Relaxation, RelaxationStep, relax
from torch_gptff.workflows.reports.relaxation import relaxation_report

COLUMNS = (
    Column("file", number=False),
    Column("formula", number=False),
    Column("atoms"),
    Column("energy", "eV/atom"),
    UNCERTAINTY,
    Column("max force", "eV/Å"),
    Column("max stress", "GPa"),
    Column("ΔV", "%"),
    Column("steps"),
    Column("conv.", number=False),
)

STEPS_BETWEEN_LINES = 50
"""Of a long relaxation, where there is no terminal to show progress on."""


@dataclass(frozen=True)
class Settings:
    """How to relax, and the folder to write to: the options of ``torch-gptff relax``."""

    out: Path
    fmax: float
    smax_gpa: float
    fix_cell: bool
    optimizer: str
    max_steps: int
    pressure_gpa: float = 0.0
    keep_symmetry: bool = False
    batch_atoms: int = 256

    def of_workflow(self) -> dict[str, Any]:
        """As :func:`torch_gptff.workflows.relax` takes them."""
        return {
            "fmax": self.fmax,
            "smax": self.smax_gpa / GPA_PER_EV_PER_ANGSTROM3,
            "fix_cell": self.fix_cell,
            "pressure": self.pressure_gpa / GPA_PER_EV_PER_ANGSTROM3,
            "keep_symmetry": self.keep_symmetry,
            "optimizer": self.optimizer,
            "max_steps": self.max_steps,
        }


class OutputNames:
    """Names in a folder: none is given twice, and none would overwrite an input.

    Args:
        folder: where the files will be
        inputs: the structure files that are read
        resume: whether a run that was stopped goes on in the folder
        overwrite: whether files that are there are replaced

    Attributes:
        existing: files that are there, and are called as those that structures of the inputs would get
    """

    endings = (".extxyz", ".cif", ".traj")

    def __init__(self, folder: Path, inputs: Sequence[str], *, resume: bool = False, overwrite: bool = False) -> None:
        self.resume = resume
        self.overwrite = overwrite
        self._folder = folder
        self._taken = {_key(split_index(file)[0]) for file in inputs}
        self.existing = sorted(self._existing({_stem(str(split_index(file)[0])) for file in inputs}))

    def _existing(self, stems: Collection[str]) -> Iterator[Path]:
        if not self._folder.is_dir():
            return
        names = "|".join(map(re.escape, stems))
        own = re.compile(rf"({names})(-\d+)*({'|'.join(map(re.escape, self.endings))})", re.IGNORECASE)
        for file in self._folder.iterdir():
            if own.fullmatch(file.name) and _key(file) not in self._taken:
                yield file

    def take(self, label: str) -> Path:
        """A path without ending: the stem of the file, the frame where it has several, a number where that is taken."""
        match = re.fullmatch(r"(?P<file>.+)@(?P<frame>\d+)", label)
        stem = _stem(match["file"] if match else label)
        name = f"{stem}-{match['frame']}" if match else stem
        path, number = self._folder / name, 1
        while self._taken & self._files(path):
            number += 1
            path = self._folder / f"{name}-{number}"
        self._taken |= self._files(path)
        return path

    def require_free(self, path: Path) -> None:
        """Refuse to replace the result of another run, where one that was stopped goes on.

        Raises:
            ExistingResultsError: a structure lies there; what a stopped run was writing is without one.
        """
        final = _with_ending(path, ".extxyz")
        if self.resume and not self.overwrite and final.exists():
            raise ExistingResultsError(
                f"{final} is there already, and is not of the run that goes on: --overwrite replaces it, or name "
                "another folder"
            )

    def _files(self, path: Path) -> set[str]:
        return {_key(_with_ending(path, ending)) for ending in self.endings}


class Reporter:
    """Tells how one relaxation goes: in the line of progress on a terminal, now and then a line anywhere else."""

    def __init__(self, console: Console, progress: Progress, place: str, label: str, n_atoms: int) -> None:
        self._console = console
        self._progress = progress
        self._place = place
        self._label = label
        self._n_atoms = n_atoms
        self._task = progress.add_task(f"{place} {label}")

    def step(self, step: RelaxationStep) -> None:
        """See :func:`torch_gptff.workflows.relax`, ``on_step``."""
        stress = "" if step.max_stress is None else f", {step.max_stress * GPA_PER_EV_PER_ANGSTROM3:.2f} GPa"
        now = f"step {step.number}: {step.energy / self._n_atoms:.4f} eV/atom, {step.fmax:.4f} eV/Å{stress}"
        if self._console.is_terminal:
            self._progress.update(self._task, description=f"{self._place} {self._label} {now}")
        elif step.number and step.number % STEPS_BETWEEN_LINES == 0:
            print_line(self._console, f"{self._label}: {now}")

    def end(self, relaxation: Relaxation, written: Sequence[Path]) -> None:
        """The line that stays."""
        print_line(self._console, f"{self._label}: {verdict(relaxation, written)}")

    def close(self) -> None:
        """Take the line of progress away."""
        self._progress.remove_task(self._task)


def relax_all(
    files: Sequence[str],
    potential: Potential,
    settings: Settings,
    console: Console,
    failures: Failures,
    results: Results[Relaxation],
    names: OutputNames,
) -> None:
    """Relax every structure of every file, each by itself.

    Args:
        files: see :func:`~torch_gptff.io.structures.read_labelled`
        potential: that relaxes them
        settings: how
        console: to tell on
        failures: what failed
        results: what came of those that could be relaxed; those that are there are not relaxed again
        names: of the files that are written

    Raises:
        RecordError: a result that is there is of another structure of the same name.
    """
    short = short_labels(console, files)
    calculator = GPTFFCalculator(potential, device=next(potential.parameters()).device)
    before = set(results)
    with make_progress(console) as progress:
        for number, file in enumerate(files, start=1):
            structures: dict[str, Atoms] = {}
            with failures.alone(file):
                structures = read_labelled(file)
            for label, atoms in structures.items():
                digest = structure_digest(atoms)
                is_done = label in before and results.holds(label, digest)
                reporter = Reporter(console, progress, f"{number}/{len(files)}", short(label), len(atoms))
                with failures.alone(label):
                    failures.check(atoms)
                    path = names.take(label)
                    if is_done:
                        if not _with_ending(path, ".extxyz").exists():  # stopped before it was written
                            write_final(results[label], path)
                        print_line(console, f"{short(label)}: done before")
                    else:
                        calculator.reset()  # results depend on nothing that was computed before
                        names.require_free(path)
                        relaxation = _relax(atoms, calculator, settings, path, reporter)
                        results.add(label, relaxation, digest)
                        written = [*write_final(relaxation, path), _with_ending(path, ".traj")]
                        reporter.end(relaxation, written)
                reporter.close()


def conclude(
    results: Results[Relaxation],
    files: Sequence[str],
    console: Console,
    failures: Failures,
    report: Path | None,
    about: str,
) -> None:
    """Print the table, write the JSON file with what failed, and the report where it is asked for.

    Args:
        results: what came of each structure
        files: that they are of
        console: to print on
        failures: what failed
        report: a file
        about: the model, for the report
    """
    short = short_labels(console, files)
    done = {short(label): relaxation for label, relaxation in results.items()}
    if done:
        print_table(console, COLUMNS, [row(label, relaxation) for label, relaxation in done.items()])
    results.write(failures)
    if report is not None:
        relaxation_report(done, f"{about}.").save(report)


def _relax(atoms: Atoms, calculator: GPTFFCalculator, settings: Settings, path: Path, reporter: Reporter) -> Relaxation:
    trajectory = _with_ending(path, ".traj")
    return relax(atoms, calculator, **settings.of_workflow(), trajectory=trajectory, on_step=reporter.step)


def verdict(relaxation: Relaxation, written: Sequence[Path]) -> str:
    """How it ended, and where its files are."""
    converged = "converged" if relaxation.converged else "NOT CONVERGED"
    plural = "" if relaxation.n_steps == 1 else "s"
    files = ", ".join([str(written[0]), *(path.suffix for path in written[1:])])
    remarks = "".join(f"; {remark}" for remark in relaxation.remarks)
    return f"{converged} after {relaxation.n_steps} step{plural}{remarks} -> {files}"


def write_final(relaxation: Relaxation, path: Path) -> list[Path]:
    """Write the structure reached; the files there are now."""
    is_crystal = bool(relaxation.final.pbc.all())
    structures = [_with_ending(path, ending) for ending in ((".extxyz", ".cif") if is_crystal else (".extxyz",))]
    for file in structures:
        write_structures(file, [relaxation.final])
    return structures


def row(label: str, relaxation: Relaxation) -> list[str]:
    """Of the table."""
    final, stress, grown = relaxation.final, relaxation.max_stress, relaxation.volume_change
    return [
        label,
        formula_of(final),
        str(len(final)),
        fixed(relaxation.energy / len(final), 4),
        per_atom(relaxation.energy_std, len(final)),
        fixed(relaxation.fmax, 4),
        fixed(None if stress is None else stress * GPA_PER_EV_PER_ANGSTROM3, 3),
        fixed(None if grown is None else 100 * grown, 2),
        str(relaxation.n_steps),
        "yes" if relaxation.converged else "NO",
    ]


def _stem(file: str) -> str:
    return Path(re.sub(r"\.(gz|bz2|xz)$", "", file)).stem


def _with_ending(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _key(path: Path) -> str:
    """One text for one file, also where a file system does not tell small letters from capitals."""
    return str(path.resolve()).casefold()
