"""Relaxing a list of files together, in batches: what ``torch-gptff relax --batch`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ase import Atoms
from rich.console import Console

from torch_gptff.cli.errors import Failures
from torch_gptff.cli.output import make_progress, print_line, short_labels
from torch_gptff.cli.relaxations import OutputNames, Settings, verdict, write_final
from torch_gptff.cli.results import Results
from torch_gptff.errors import JournalError
from torch_gptff.io.identity import structure_digest
from torch_gptff.io.journal import Journal, key_of
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
    results: Results[Relaxation],
    names: OutputNames,
    about: Mapping[str, Any],
) -> None:
    """Relax every structure of every file, many of them side by side.

    Args:
        files: see :func:`~torch_gptff.io.structures.read_labelled`
        potential: that relaxes them
        settings: how
        console: to tell on
        failures: what failed
        results: what came of those that could be relaxed; those that are there are not relaxed again
        names: of the files that are written
        about: what results depend on, by which an unfinished run is told from another

    Raises:
        JournalError: an unfinished run is there that is neither gone on with nor replaced; or it has other settings.
    """
    path = settings.out / JOURNAL
    if path.exists() and not names.resume:
        if not names.overwrite:
            raise JournalError(f"{path} is of an unfinished run: go on with it (--resume), or replace it (--overwrite)")
        path.unlink()
    short = short_labels(console, files)
    structures: dict[str, Atoms] = {}
    for file in files:
        with failures.alone(file):
            for label, atoms in read_labelled(file).items():
                with failures.alone(label):
                    failures.check(atoms)
                    structures[label] = atoms
    labels = list(structures)
    paths = [names.take(label) for label in labels]
    journal = Journal(path, about)
    digests = [structure_digest(atoms) for atoms in structures.values()]
    for number, (label, atoms) in enumerate(structures.items()):
        key = key_of(str(number), atoms)
        if key not in journal and results.holds(label, digests[number]):
            journal.add(key, results[label].to_dict())
        elif key not in journal:
            names.require_free(paths[number])
    n_relaxed = n_written = 0
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
            n_relaxed += isinstance(result, Relaxation)
            with failures.alone(labels[number]):
                if not isinstance(result, Relaxation):
                    raise result
                results.add(labels[number], result, digests[number])
                written = write_final(result, paths[number])
                print_line(console, f"{short(labels[number])}: {verdict(result, written)}")
                n_written += 1
    results.arrange(labels)
    if n_written == n_relaxed:
        journal.remove()
