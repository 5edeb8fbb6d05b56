"""One computation for each structure of many files: progress, failures that stay alone, results kept as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ase import Atoms
from rich.console import Console

from torch_gptff.cli.errors import Failures
from torch_gptff.cli.output import Column, make_progress, print_line, print_table, short_labels
from torch_gptff.cli.results import Results
from torch_gptff.io.structures import read_labelled
from torch_gptff.workflows.record import Record

R = TypeVar("R", bound=Record)

Tell = Callable[[str], None]
"""Says how a computation stands, in a few words."""


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
