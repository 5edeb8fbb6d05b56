"""Distribution of chunks of structures to workers, and collection of their results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from ase import Atoms

from torch_gptff.defaults import DEFAULT_MODEL
from torch_gptff.errors import ScreeningError
from torch_gptff.record import Record
from torch_gptff.workflows.inputs import as_atoms
from torch_gptff.workflows.screening.results import ScreeningResults, key_of
from torch_gptff.workflows.screening.task import WORKFLOWS, Failure, Task


@dataclass(frozen=True)
class Screened:
    """Result of one structure.

    Attributes:
        place: place of the structure in the list
        key: digest of the structure
        result: record of the workflow, or a failure
    """

    place: int
    key: str
    result: Record

    @property
    def failed(self) -> bool:
        """Whether there is no result."""
        return isinstance(self.result, Failure)


def screen(
    structures: Iterable[Any],
    what: str = "relax",
    *,
    model: str | Path = DEFAULT_MODEL,
    executor: Any = None,
    journal: str | Path | None = None,
    max_atoms: int = 256,
    in_flight: int = 64,
    threads: int | None = None,
    dtype: str | None = None,
    device: str | None = None,
    reference: str | None = None,
    on_result: Callable[[Screened], None] | None = None,
    **settings: Any,
) -> Iterator[Screened]:
    """Apply a workflow to very many structures, on the workers of an executor.

    Structures go to the workers in chunks that fill a batch of the model, and results come as they end. A worker loads
    the model once. A structure that fails costs its own result alone. A chunk whose worker dies is computed again, a
    structure at a time, and a structure that ends its worker again is a failure, which is not written to the journal.

    Memory does not grow with results: structures are taken from the list as workers become free.

    Args:
        structures: structures of any kind that :func:`~torch_gptff.workflows.relax` takes
        what: workflow: ``relax``, ``predict``, ``eos``, ``elastic`` or ``phonons``
        model: name or path of a model, where the workers find it
        executor: a ``concurrent.futures`` executor, or a ``dask.distributed`` client; ``None``: this process
        journal: file of the results, which is written as they come; results in it are not computed again
        max_atoms: largest number of atoms in a chunk; a larger structure is a chunk of its own
        in_flight: number of chunks that are distributed at once, at least two for each worker
        threads: number of threads of a worker; by default one with an executor, and unchanged without
        dtype: floating-point precision of the model, ``float32`` or ``float64``; by default that of its weights
        device: device of the model on the workers; by default the GPU, where there is one
        reference: source whose reference energies are relative to, see :meth:`~torch_gptff.Potential.use_reference`
        on_result: called with every result
        **settings: settings of the workflow: see :func:`~torch_gptff.workflows.relax_many`,
            :func:`~torch_gptff.workflows.equation_of_state`, :func:`~torch_gptff.workflows.elastic_tensor`,
            :func:`~torch_gptff.workflows.phonon_spectrum`

    Yields:
        a result for each structure, in the order in which they are known

    Raises:
        ScreeningError: there is no such workflow, or the executor does not work any more.
        JournalError: the journal is of other settings.
        CheckpointError, DownloadError: the model cannot be loaded.
    """
    task = Task(what, str(model), dtype, device, reference, settings, threads)
    for screened in screen_task(structures, task, executor, journal, max_atoms, in_flight):
        if on_result is not None:
            on_result(screened)
        yield screened


def screen_task(
    structures: Iterable[Any],
    task: Task,
    executor: Any = None,
    journal: str | Path | None = None,
    max_atoms: int = 256,
    in_flight: int = 64,
) -> Iterator[Screened]:
    """Apply a task to very many structures; see :func:`screen` for arguments, results and errors."""
    if executor is None:
        in_flight = 1
    elif task.threads is None:
        task = replace(task, threads=1)
    results = None if journal is None else ScreeningResults(journal, task.identity())
    try:
        yield from _screened(structures, task, _executor_of(executor), results, max_atoms, in_flight)
    finally:
        if results is not None:
            results.close()


@dataclass
class _Chunk:
    keys: list[str]
    structures: list[Atoms]


def _screened(
    structures: Iterable[Any],
    task: Task,
    executor: Any,
    results: ScreeningResults | None,
    max_atoms: int,
    in_flight: int,
) -> Iterator[Screened]:
    places: dict[str, list[int]] = {}  # places of structures whose results are pending
    running: dict[Any, _Chunk] = {}
    ended: SimpleQueue[Any] = SimpleQueue()
    again: list[_Chunk] = []
    known: list[Screened] = []
    chunks = _chunks(structures, results, places, known, max_atoms, task)

    def hand_out(chunk: _Chunk) -> None:
        try:
            future = executor.submit(task.run, chunk.structures)
        except BrokenExecutor as error:
            raise _broken(error) from error
        running[future] = chunk
        future.add_done_callback(ended.put)

    more = True
    while more or running or again:
        while len(running) < in_flight and (again or more):
            chunk = again.pop() if again else next(chunks, None)
            if chunk is None:
                more = False
            elif chunk.keys:
                hand_out(chunk)
            yield from known
            known.clear()
        if not running:
            continue
        future = ended.get()
        chunk = running.pop(future)
        try:
            documents = future.result()
        except BrokenExecutor as error:
            raise _broken(error) from error
        except Exception as error:  # raised by the worker, not by the workflow
            if len(chunk.keys) > 1:
                alone = zip(chunk.keys, chunk.structures, strict=True)
                again += [_Chunk([key], [atoms]) for key, atoms in alone]
                continue
            (key,) = chunk.keys
            for place in places.pop(key):
                yield Screened(place, key, Failure(type(error).__name__, str(error)))
            continue
        for key, document in zip(chunk.keys, documents, strict=True):
            if results is not None:
                results.add(key, document)
            for place in places.pop(key):
                yield Screened(place, key, _record(document, task))


def _chunks(
    structures: Iterable[Any],
    results: ScreeningResults | None,
    places: dict[str, list[int]],
    known: list[Screened],
    max_atoms: int,
    task: Task,
) -> Iterator[_Chunk]:
    """Chunks of structures that have no result yet; those that have go to ``known``."""
    chunk, n_atoms = _Chunk([], []), 0
    for place, structure in enumerate(structures):
        atoms = as_atoms(structure)
        key = key_of(atoms)
        if results is not None and key in results:
            known.append(Screened(place, key, _record(results[key], task)))
            if len(known) >= 100:
                yield _Chunk([], [])  # a pause, in which they are given
            continue
        if key in places:
            places[key].append(place)
            continue
        if chunk.keys and n_atoms + len(atoms) > max_atoms:
            yield chunk
            chunk, n_atoms = _Chunk([], []), 0
        places[key] = [place]
        chunk.keys.append(key)
        chunk.structures.append(_bare(atoms))
        n_atoms += len(atoms)
    yield chunk


def _record(document: Mapping[str, Any], task: Task) -> Record:
    kind = Failure if document.get("record") == Failure.__name__ else WORKFLOWS[task.what].record
    return kind.from_dict(dict(document))


def _bare(atoms: Atoms) -> Atoms:
    """A copy of a structure without calculator and further data, to be sent to a worker."""
    copy = atoms.copy()
    copy.info = {}
    return copy


def _broken(error: Exception) -> ScreeningError:
    return ScreeningError(
        f"the executor does not work any more ({error or type(error).__name__}), since one of its processes died: "
        "start again with the same journal, or use Dask, which goes on without the process"
    )


class _Here:
    """An executor that works at once, in this process."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        from concurrent.futures import Future

        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future


def _executor_of(executor: Any) -> Any:
    if executor is None:
        return _Here()
    if hasattr(executor, "get_executor"):  # a client of dask.distributed
        return executor.get_executor(pure=False)
    return executor
