"""One computation for each structure of many files: progress, failures that stay alone, results kept as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import typer
from ase import Atoms
from rich.console import Console

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.cli.dependence import dependence
from torch_gptff.cli.errors import Failures
from torch_gptff.cli.model import load_potential
from torch_gptff.cli.output import Column, make_console, make_progress, print_line, print_table, short_labels
from torch_gptff.cli.results import Results
from torch_gptff.io.identity import structure_digest
from torch_gptff.io.structures import read_labelled
from torch_gptff.potential import Potential
from torch_gptff.record import Record
from torch_gptff.report import Report

R = TypeVar("R", bound=Record)

Tell = Callable[[str], None]
"""Says how a computation stands, in a few words."""


@dataclass(frozen=True)
class Computed(Generic[R]):
    """What a command computed.

    Attributes:
        console: to go on telling on
        results: one for each structure that did not fail
        failures: of the others
        about: the model, its precision and its reference, for a report
    """

    console: Console
    results: Results[R]
    failures: Failures
    about: str


def compute_files(
    context: typer.Context,
    kind: type[R],
    compute: Callable[[Atoms, GPTFFCalculator, Tell], R],
    verdict: Callable[[R], str],
) -> Computed[R]:
    """Compute one record for each structure of the files that a command is given, and keep them in its JSON file.

    Args:
        context: of the command, which has the shared options of :mod:`torch_gptff.cli.options`
        kind: of the records
        compute: from a structure to its record
        verdict: a record in one line

    Raises:
        RecordError: what the file to go on with holds depends on something else, see
            :func:`~torch_gptff.cli.dependence.dependence`.
    """
    given = context.params
    console, failures = make_console(), Failures(context)
    with console.status(f"loading {given['model']}"):
        potential = load_potential(given["model"], given["device"], given["dtype"], given["reference"])
    calculator = GPTFFCalculator(potential, device=next(potential.parameters()).device)
    results = Results(kind, given["json"], dependence(context, potential), given["resume"])

    def compute_alone(atoms: Atoms, tell: Tell) -> R:
        calculator.reset()  # results depend on nothing that was computed before
        return compute(atoms, calculator, tell)

    compute_each(given["files"], results, console, failures, compute_alone, verdict)
    return Computed(console, results, failures, about_model(context, potential))


def about_model(context: typer.Context, potential: Potential) -> str:
    """The model, its precision and the reference of its energies, for a report."""
    spoken = f", energies of {potential.reference}" if potential.reference else ""
    return f"{context.params['model']}, {context.params['dtype'].value}{spoken}"


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
        context: see :func:`compute_files`
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
        RecordError: see :func:`compute_files`.
    """
    computed = compute_files(context, kind, compute, verdict)
    results = computed.results
    print_results(computed.console, context.params["files"], results, columns, row)
    if len(results) and context.params["report"] is not None:
        report(results.items(), f"{computed.about}; {about}").save(context.params["report"])
    if computed.failures:
        raise typer.Exit(1)
    return [record for _, record in results.items()]


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
                digest = structure_digest(atoms)
                if results.holds(label, digest):
                    print_line(console, f"{short(label)}: done before")
                    continue
                place = f"{number}/{len(files)} {short(label)}"
                task = progress.add_task(place)

                def tell(words: str, place: str = place, task: object = task) -> None:
                    progress.update(task, description=f"{place} {words}")  # type: ignore[arg-type]

                with failures.alone(label):
                    failures.check(atoms)
                    record = compute(atoms, tell)
                    results.add(label, record, digest)
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
