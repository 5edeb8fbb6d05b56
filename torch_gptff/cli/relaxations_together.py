"""Relaxing a list of files together, in batches: what ``torch-gptff relax --batch`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ase import Atoms
from rich.console import Console

from torch_gptff.cli.errors import Failures
from torch_gptff.cli.output import make_progress, print_line, short_labels
from torch_gptff.cli.relaxations import OutputNames, Settings, verdict, write_final
from torch_gptff.errors import JournalError
from torch_gptff.io.journal import Journal
from torch_gptff.io.structures import read_labelled
from torch_gptff.potential import Potential
from torch_gptff.workflows import Relaxation, relax_many

JOURNAL = "unfinished.jsonl"
"""In the folder of the results, until all are there."""


def relax_together(
    files: Sequence[str],
    potential: Potential,
    settings: Settings,
    console: Console,
    failures: Failures,
    *,
    about: Mapping[str, Any],
    resume: bool,
) -> dict[str, Relaxation]:
    """Relax every structure of every file, many of them side by side.

    Args:
        files: see :func:`~torch_gptff.io.structures.read_labelled`
        potential: that relaxes them
        settings: how
        console: to tell on
        failures: what failed
        about: what results depend on, by which an unfinished run is told from another
        resume: go on with an unfinished run

    Returns:
        what came of those that could be relaxed, by their labels

    Raises:
        JournalError: an unfinished run is there, and ``resume`` is not set; or it has other settings.
    """
    path = settings.out / JOURNAL
    if path.exists() and not resume:
        raise JournalError(f"{path} is of an unfinished run: go on with it (--resume), or delete the file")
    short = short_labels(console, files)
    structures: dict[str, Atoms] = {}
    for file in files:
        with failures.alone(file):
            structures |= read_labelled(file)
    labels = list(structures)
    names = OutputNames(settings.out, files)
    paths = [names.take(label) for label in labels]
    journal = Journal(path, about)
    done: dict[int, Relaxation] = {}
    with make_progress(console) as progress:
        task = progress.add_task(f"{len(labels)} structures")

        def tell(size: int, ended: int) -> None:
            progress.update(task, description=f"{ended} of {len(labels)} done, {size} under way")

        for number, result in relax_many(
            structures.values(),
            potential,
            **settings.of_workflow(),
            max_atoms=settings.batch_atoms,
            journal=journal,
            on_step=tell,
        ):
            with failures.alone(labels[number]):
                if not isinstance(result, Relaxation):
                    raise result
                written = write_final(result, paths[number])
                print_line(console, f"{short(labels[number])}: {verdict(result, written)}")
                done[number] = result
    journal.remove()
    return {labels[number]: done[number] for number in sorted(done)}
