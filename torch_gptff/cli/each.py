"""One computation for each structure of many files: progress, failures that stay alone, results kept as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, TypeVar

import typer
from ase import Atoms
from rich.console import Console

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.cli.errors import Failures
from torch_gptff.cli.model import load_potential
from torch_gptff.cli.output import Column, make_console, make_progress, print_line, print_table, short_labels
from torch_gptff.cli.results import Results
from torch_gptff.io.structures import read_labelled
from torch_gptff.report import Report
from torch_gptff.workflows.record import Record

R = TypeVar("R", bound=Record)

Tell = Callable[[str], None]
"""Says how a computation stands, in a few words."""


NOT_SETTINGS = ("context", "files", "json", "report", "resume", "device")
"""Options that results do not depend on; every other one is a setting by which an unfinished run is known again."""


def run_each(
    context: typer.Context,
    kind: type[R],
    compute: Callable[[Atoms, GPTFFCalculator, Tell], R],
    *,
    verdict: Callable[[R], str],
    columns: Sequence[Column],
    row: Callable[[str, R], Sequence[str]],
    report: Callable[[list[tuple[str, R]], str], Report],
    about: str,
) -> list[R]:
    """Run a command that computes one record for each structure: a table, a JSON file and a report.

    Args:
        context: of the command, which has the shared options of :mod:`torch_gptff.cli.options`
        kind: of the records
        compute: from a structure to its record
        verdict: a record in one line
        columns: of the table
        row: from a short label and a record to its cells
        report: from labels, records and a summary to a page
        about: how results are computed, for the page

    Returns:
        the records

    Raises:
        typer.Exit: a structure failed.
    """
    given = context.params
    console, failures = make_console(), Failures(context)
    with console.status(f"loading {given['model']}"):
        potential = load_potential(given["model"], given["device"], given["dtype"], given["reference"])
    calculator = GPTFFCalculator(potential, device=next(potential.parameters()).device)
    settings = {name: _plain(value) for name, value in given.items() if name not in NOT_SETTINGS}
    results = Results(kind, given["json"], settings, given["resume"])
    compute_each(given["files"], results, console, failures, lambda atoms, tell: compute(atoms, calculator, tell), verdict)
    print_results(console, given["files"], results, columns, row)
    if len(results) and given["report"] is not None:
        spoken = f", energies of {given['reference']}" if given["reference"] else ""
        report(results.items(), f"{given['model']}, {given['dtype'].value}{spoken}; {about}").save(given["report"])
    if failures:
        raise typer.Exit(1)
    return [record for _, record in results.items()]


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def compute_each(
    files: Sequence[str],
    results: Results[R],
    console: Console,
    failures: Failures,
    compute: Callable[[Atoms, Tell], R],
    verdict: Callable[[R], str],
) -> None:
    """Fill ``results`` for every structure of every file, each by itself; those that are there are left alone.

    Args:
        files: see :func:`~torch_gptff.io.structures.read_labelled`
        results: where they are kept
        console: to tell on
        failures: what failed
        compute: from a structure to its record
        verdict: a record in one line
    """
    short = short_labels(console, files)
    with make_progress(console) as progress:
        for number, file in enumerate(files, start=1):
            structures: dict[str, Atoms] = {}
            with failures.alone(file):
                structures = read_labelled(file)
            for label, atoms in structures.items():
                if label in results:
                    print_line(console, f"{short(label)}: done before")
                    continue
                place = f"{number}/{len(files)} {short(label)}"
                task = progress.add_task(place)

                def tell(words: str, place: str = place, task: object = task) -> None:
                    progress.update(task, description=f"{place} {words}")  # type: ignore[arg-type]

                with failures.alone(label):
                    record = compute(atoms, tell)
                    results.add(label, record)
                    print_line(console, f"{short(label)}: {verdict(record)}")
                progress.remove_task(task)
    results.write(failures)


def print_results(
    console: Console,
    files: Sequence[str],
    results: Results[R],
    columns: Sequence[Column],
    row: Callable[[str, R], Sequence[str]],
) -> None:
    """Print a row for each result, where there are some.

    Args:
        console: to print on
        files: that the structures are of
        results: of their structures
        columns: of the table
        row: from a short label and a record to its cells
    """
    if len(results):
        short = short_labels(console, files)
        print_table(console, columns, [row(short(label), record) for label, record in results.items()])
