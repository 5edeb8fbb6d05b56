"""What ``torch-gptff screen`` does with its files, its workers and its results."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from ase import Atoms
from ase.io.extxyz import write_xyz
from rich.console import Console

from torch_gptff.cli.errors import Failures
from torch_gptff.cli.output import make_progress, print_line, print_table
from torch_gptff.errors import GPTFFError
from torch_gptff.io.files import written_atomically
from torch_gptff.io.structures import read_labelled, split_index
from torch_gptff.report import Column, Table
from torch_gptff.workflows.frames import iterate_frames
from torch_gptff.workflows.screening import Screened, ScreeningResults, Task, screen, write_table
from torch_gptff.workflows.screening.results import key_of
from torch_gptff.workflows.screening.table import columns_of, row_of

LONG = (".xyz", ".extxyz", ".traj")
"""Endings of files that are read a frame at a time."""


class Screening:
    """A screening from files to a folder.

    Args:
        console: to tell on
        files: of structures, see :func:`~torch_gptff.io.structures.read_labelled`
        failures: of files and structures that cannot be used
    """

    def __init__(self, console: Console, files: Sequence[str], failures: Failures) -> None:
        self.console, self.files, self.failures = console, files, failures
        self.reasons: Counter[str] = Counter()
        self.refused: set[str] = set()
        with console.status("reading structures"):
            self.n_structures = sum(1 for _ in self._usable())

    def run(
        self, what: str, out: Path, scheduler: str | None, workers: int, batch_atoms: int, task: dict[str, Any]
    ) -> None:
        """Compute what is not known yet, and write the table and the structures."""
        journal = out / "results.jsonl"
        with make_progress(self.console) as progress, executor(scheduler, workers) as (pool, n_workers):
            line = progress.add_task(f"0/{self.n_structures}")
            start = time.monotonic()
            structures = (atoms for _, atoms in self._structures())
            found = screen(
                structures, what, executor=pool, journal=journal, max_atoms=batch_atoms, in_flight=4 * n_workers, **task
            )
            for n_done, screened in enumerate(found, start=1):
                self._count(screened)
                progress.update(line, description=self._state(n_done, time.monotonic() - start))
        identity = Task(what, **_of_task(task)).identity()
        with ScreeningResults(journal, identity) as results:
            columns = columns_of(self._rows(results))
            write_table(out / "table.parquet", self._rows(results), columns)
            self._write_structures(out / "structures.extxyz", results)
        print_line(self.console, f"{self.n_structures} structures: {out}")

    def conclude(self) -> bool:
        """Tell what failed, by reason; whether anything did."""
        if self.reasons:
            print_table(self.console, Table([Column("failed"), Column("structures")], self.reasons.most_common()))
        return bool(self.reasons or self.failures)

    def _state(self, n_done: int, seconds: float) -> str:
        rate = n_done / max(seconds, 1e-9)
        left = (self.n_structures - n_done) / rate
        failed = f", {sum(self.reasons.values())} failed" if self.reasons else ""
        return f"{n_done}/{self.n_structures}{failed}, {rate:.1f} a second, {left / 60:.0f} min left"

    def _count(self, screened: Screened) -> None:
        if screened.failed:
            self.reasons[screened.result.reason] += 1  # type: ignore[attr-defined]

    def _usable(self) -> Iterator[tuple[str, Atoms]]:
        """All structures, after a check of each; what cannot be used is a failure."""
        for file in self.files:
            with self.failures.alone(file):
                for label, atoms in _frames(file):
                    before = len(self.failures)
                    with self.failures.alone(label):
                        self.failures.check(atoms)
                    if len(self.failures) > before:
                        self.refused.add(label)
                    else:
                        yield label, atoms

    def _structures(self) -> Iterator[tuple[str, Atoms]]:
        """The structures that were found to be usable, once more."""
        for file in self.files:
            try:
                for label, atoms in _frames(file):
                    if label not in self.refused:
                        yield label, atoms
            except (GPTFFError, OSError):
                continue  # told before

    def _known(self, results: ScreeningResults) -> Iterator[tuple[str, str, Atoms, dict[str, Any]]]:
        for label, atoms in self._structures():
            key = key_of(atoms)
            if key in results:
                yield label, key, atoms, results[key]

    def _rows(self, results: ScreeningResults) -> Iterator[dict[str, Any]]:
        for label, key, atoms, document in self._known(results):
            yield row_of(label, key, atoms, document)

    def _write_structures(self, path: Path, results: ScreeningResults) -> None:
        with written_atomically(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            for label, _, _, document in self._known(results):
                atoms = _reached(document)
                if atoms is not None:
                    atoms.info["label"] = label
                    write_xyz(file, [atoms])


@contextmanager
def executor(scheduler: str | None, workers: int) -> Iterator[tuple[Any, int]]:
    """What does the work, and how many workers it has; this process alone without a scheduler and with one worker."""
    if scheduler is None and workers == 1:
        yield None, 1
        return
    from distributed import Client, LocalCluster

    if scheduler is not None:
        with Client(scheduler) as client:
            yield client, max(1, sum(client.nthreads().values()))
        return
    cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        yield client, workers


def setting_of(text: str) -> tuple[str, Any]:
    """``fmax=0.02`` as a name and a value; what is no number and no true, false or null is text."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise typer.BadParameter(f"{text!r} is no NAME=VALUE, such as fmax=0.02", param_hint="--set")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _frames(file: str) -> Iterator[tuple[str, Atoms]]:
    path, index = split_index(file)
    if path.suffix in LONG and index is None:
        for number, atoms in enumerate(iterate_frames(path)):
            yield f"{path}@{number}", atoms
    else:
        yield from read_labelled(file).items()


def _of_task(task: dict[str, Any]) -> dict[str, Any]:
    own = ("model", "dtype", "device", "reference")
    return {
        **{name: task[name] for name in own},
        "settings": {name: value for name, value in task.items() if name not in own},
    }


def _reached(document: dict[str, Any]) -> Atoms | None:
    """The structure that a relaxation or prediction tells of, with its energy, forces and stress."""
    from ase.calculators.singlepoint import SinglePointCalculator

    from torch_gptff.workflows import Relaxation
    from torch_gptff.workflows.screening import StructurePrediction

    if document["record"] == Relaxation.__name__:
        return Relaxation.from_dict(document).final
    if document["record"] != StructurePrediction.__name__:
        return None
    prediction = StructurePrediction.from_dict(document)
    atoms = prediction.structure
    stress = {} if prediction.stress is None else {"stress": prediction.stress}
    atoms.calc = SinglePointCalculator(atoms, energy=prediction.energy, forces=prediction.forces, **stress)
    return atoms
