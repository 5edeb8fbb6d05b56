"""``torch-gptff screen``."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ase import Atoms

    from torch_gptff.cli.errors import Failures
    from torch_gptff.workflows.screening import Screened

What = Literal["relax", "predict", "eos", "elastic", "phonons"]
"""Names of :data:`torch_gptff.workflows.screening.WORKFLOWS`."""


def screen(
    context: typer.Context,
    files: options.Files,
    what: Annotated[What, typer.Option("--what", help="Workflow that each structure goes through.")] = "relax",
    model: options.Model = DEFAULT_MODEL,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the results. Results in it are kept.")
    ] = Path("screened"),
    workers: Annotated[
        int, typer.Option("--workers", help="Number of processes of this machine that share the work.", min=1)
    ] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers do the work, on any machines."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Setting of the workflow, such as [bold]fmax=0.02[/bold]. May be repeated.",
        ),
    ] = None,
    batch_atoms: Annotated[int, typer.Option(help="Number of atoms that a worker computes at once.", min=1)] = 256,
    reference: options.Reference = None,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float32",
) -> None:
    """Apply one workflow to very many structures, on many processes or machines.

    FOLDER receives every result in results.jsonl as it comes, and at the end table.parquet, with a row for each
    structure, and structures.extxyz, with the structures reached, their energies, forces and stresses. A screening
    that was stopped goes on when it is started again.
    """
    from torch_gptff.cli.errors import Failures
    from torch_gptff.cli.output import make_console, make_progress, print_line, print_table
    from torch_gptff.report import Column, Table
    from torch_gptff.workflows.screening import Task, open_executor, screen_to_folder

    values = dict(map(_setting, settings or ()))
    task = Task(what, model, dtype, device, reference, values)
    console, failures, reasons = make_console(), Failures(context), Counter[str]()
    with console.status("reading structures"):
        structures = _UsableStructures(files, failures)
    with make_progress(console) as progress, open_executor(scheduler, workers) as (executor, n_workers):
        line, start, n_done = progress.add_task(f"0/{len(structures)}"), time.monotonic(), 0

        def show(screened: Screened) -> None:
            nonlocal n_done
            n_done += 1
            if screened.failed:
                reasons[screened.result.reason] += 1  # type: ignore[attr-defined]
            words = _progress(n_done, len(structures), reasons.total(), time.monotonic() - start)
            progress.update(line, description=words)

        screen_to_folder(
            structures,
            out,
            task,
            executor=executor,
            max_atoms=batch_atoms,
            in_flight=4 * n_workers,
            on_result=show,
        )
    print_line(console, f"{len(structures)} structures: {out}")
    if reasons:
        print_table(console, Table([Column("failed"), Column("structures")], reasons.most_common()))
    if reasons or failures:
        raise typer.Exit(1)


class _UsableStructures:
    """Labels and structures of files, without those that cannot be used, which are reported once, when this is made.

    Files are read anew in each iteration, so that the structures of long files are never in memory together.

    Args:
        files: structure files
        failures: files and structures that cannot be used
    """

    def __init__(self, files: Sequence[str], failures: Failures) -> None:
        self._files = files
        self._refused: set[str] = set()
        self._number = sum(self._checked(file, failures) for file in files)

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[tuple[str, Atoms]]:
        from torch_gptff.errors import GPTFFError
        from torch_gptff.workflows.frames import iterate_labelled

        for file in self._files:
            try:
                for label, atoms in iterate_labelled(file):
                    if label not in self._refused:
                        yield label, atoms
            except (GPTFFError, OSError):
                continue  # reported before

    def _checked(self, file: str, failures: Failures) -> int:
        """Number of usable structures of a file."""
        from torch_gptff.workflows.frames import iterate_labelled

        number = 0
        with failures.alone(file):
            for label, atoms in iterate_labelled(file):
                before = len(failures)
                with failures.alone(label):
                    failures.check(atoms)
                if len(failures) > before:
                    self._refused.add(label)
                else:
                    number += 1
        return number


def _progress(n_done: int, n_structures: int, n_failed: int, seconds: float) -> str:
    """One line of progress."""
    rate = n_done / max(seconds, 1e-9)
    failed = f", {n_failed} failed" if n_failed else ""
    left = (n_structures - n_done) / rate / 60
    return f"{n_done}/{n_structures}{failed}, {rate:.1f} a second, {left:.0f} min left"


def _setting(text: str) -> tuple[str, Any]:
    """Name and value of ``fmax=0.02``. A value that is not JSON, such as a number or ``true``, is text.

    Raises:
        typer.BadParameter: there is no ``=``, or no name before it.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise typer.BadParameter(f"{text!r} is no NAME=VALUE, such as fmax=0.02", param_hint="--set")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
