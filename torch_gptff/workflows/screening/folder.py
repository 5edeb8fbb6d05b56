"""A screening whose results go to a folder: a journal, a table and the structures reached."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io.extxyz import write_xyz

from torch_gptff.io.files import written_atomically
from torch_gptff.workflows.relaxation import Relaxation
from torch_gptff.workflows.screening.driver import Screened, screen_task
from torch_gptff.workflows.screening.results import ScreeningResults, key_of
from torch_gptff.workflows.screening.table import columns_of, row_of, write_table
from torch_gptff.workflows.screening.task import StructurePrediction, Task

RESULTS, TABLE, STRUCTURES = "results.jsonl", "table.parquet", "structures.extxyz"
"""Files in the folder."""


def screen_to_folder(
    structures: Iterable[tuple[str, Atoms]],
    folder: str | Path,
    task: Task,
    *,
    executor: Any = None,
    max_atoms: int = 256,
    in_flight: int = 64,
    on_result: Callable[[Screened], None] | None = None,
) -> None:
    """Apply a task to very many structures, and write results, a table and structures to a folder.

    ``results.jsonl`` receives every result as it comes, and results that it holds already are not computed again. At
    the end ``table.parquet`` has a row for each structure, and ``structures.extxyz`` the structures reached by
    relaxations, or those of predictions, with energy, forces and stress.

    Args:
        structures: labels and structures; iterated several times, so no generator
        folder: the folder
        task: workflow, model and settings
        executor, max_atoms, in_flight: see :func:`~torch_gptff.workflows.screen`
        on_result: called with every result

    Raises:
        ModuleNotFoundError: ``pyarrow`` is not installed.
        ScreeningError, JournalError, CheckpointError, DownloadError: see :func:`~torch_gptff.workflows.screen`.
    """
    import pyarrow.parquet  # noqa: F401  # a missing package is told before hours of work, not after

    folder = Path(folder)
    bare = (atoms for _, atoms in structures)
    for screened in screen_task(bare, task, executor, folder / RESULTS, max_atoms, in_flight):
        if on_result is not None:
            on_result(screened)
    with ScreeningResults(folder / RESULTS, task.identity()) as results:
        columns = columns_of(_rows(structures, results))
        write_table(folder / TABLE, _rows(structures, results), columns)
        _write_structures(folder / STRUCTURES, structures, results)


Known = Iterator[tuple[str, str, Atoms, dict[str, Any]]]
"""Label, key, structure and result."""


def _known(structures: Iterable[tuple[str, Atoms]], results: ScreeningResults) -> Known:
    for label, atoms in structures:
        key = key_of(atoms)
        if key in results:
            yield label, key, atoms, results[key]


def _rows(structures: Iterable[tuple[str, Atoms]], results: ScreeningResults) -> Iterator[dict[str, Any]]:
    for label, key, atoms, document in _known(structures, results):
        yield row_of(label, key, atoms, document)


def _write_structures(path: Path, structures: Iterable[tuple[str, Atoms]], results: ScreeningResults) -> None:
    with written_atomically(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for label, _, _, document in _known(structures, results):
            atoms = _structure_of(document)
            if atoms is not None:
                atoms.info["label"] = label
                write_xyz(file, [atoms])


def _structure_of(document: dict[str, Any]) -> Atoms | None:
    """The structure of a relaxation or prediction with its energy, forces and stress; ``None`` for other results."""
    if document["record"] == Relaxation.__name__:
        return Relaxation.from_dict(document).final
    if document["record"] == StructurePrediction.__name__:
        return StructurePrediction.from_dict(document).labelled_structure()
    return None
