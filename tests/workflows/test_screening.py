"""Very many structures: chunks, journals, workers and drivers that die."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.io import read

from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.errors import ExistingResultsError, JournalError, ScreeningError
from torch_gptff.io import save
from torch_gptff.workflows import Relaxation, Screened, ScreeningResults, relax, screen
from torch_gptff.workflows.screening import Failure, Task, screen_to_folder
from torch_gptff.workflows.screening.results import key_of


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    small = GPTFFConfig(channels=16, heads=1, num_layers=1, feedforward_channels=16, cutoff=4.0)
    path = tmp_path_factory.mktemp("model") / "small.gptff"
    save(Potential(GPTFF(small).double()).eval(), path)
    return path


def structures(count: int) -> Iterator[Atoms]:
    for number in range(count):
        atoms = bulk("NaCl", "rocksalt", a=5.4 + 0.01 * number)
        atoms.rattle(0.02, seed=number)
        yield atoms


class Recorder:
    """An executor that works when it is asked for a result, and fails as it is told to."""

    def __init__(self, fails: Callable[[Sequence[Atoms]], bool] = lambda _: False) -> None:
        self.fails, self.chunks = fails, []

    def submit(self, function: Callable[[Sequence[Atoms]], Any], chunk: Sequence[Atoms]) -> Future[Any]:
        future: Future[Any] = Future()
        self.chunks.append(len(chunk))
        if self.fails(chunk):
            future.set_exception(MemoryError("the worker was killed"))
        else:
            future.set_result(function(chunk))
        return future


def energies(found: Sequence[Screened]) -> list[float]:
    return [each.result.energy for each in sorted(found, key=lambda each: each.place)]


def test_each_gets_what_it_gets_alone(model: Path) -> None:
    found = list(screen(structures(5), "relax", model=model, max_steps=3, max_atoms=4, dtype="float64"))
    assert sorted(each.place for each in found) == list(range(5))
    for each, atoms in zip(sorted(found, key=lambda each: each.place), structures(5), strict=True):
        assert isinstance(each.result, Relaxation)
        alone = relax(atoms, model, max_steps=3)
        np.testing.assert_allclose(each.result.final.positions, alone.final.positions, atol=1e-9)


def test_chunks_fill_a_batch(model: Path) -> None:
    executor = Recorder()
    list(screen([*structures(5), bulk("Cu") * (3, 3, 1)], "predict", model=model, executor=executor, max_atoms=6))
    assert executor.chunks == [3, 2, 1]


def test_the_same_structure_is_computed_once_for_all_its_places(model: Path) -> None:
    executor = Recorder()
    (atoms,) = structures(1)
    found = list(screen([atoms, atoms.copy(), atoms.copy()], "predict", model=model, executor=executor))
    assert sorted(each.place for each in found) == [0, 1, 2]
    assert len({each.result.energy for each in found}) == 1
    assert executor.chunks == [1]


def test_a_structure_that_fails_costs_itself_alone(model: Path) -> None:
    near = Atoms("Cu2", [[0, 0, 0], [0, 0, 0]], cell=[5, 5, 5], pbc=True)
    unknown = bulk("Cu")
    unknown.numbers[:] = 118
    for what in ("relax", "predict"):
        few = {"max_steps": 2} if what == "relax" else {}
        found = list(screen([*structures(1), near, unknown], what, model=model, **few))
        failed = {each.place: each.result for each in found if isinstance(each.result, Failure)}
        assert {place: each.reason for place, each in failed.items()} == {
            1: "CoincidentAtomsError",
            2: "UnsupportedElementError",
        }, what
        assert len(found) == 3


def test_a_worker_that_dies_costs_the_structure_that_kills_it(model: Path, tmp_path: Path) -> None:
    executor = Recorder(lambda chunk: any(abs(atoms.cell.cellpar()[0] - 5.42 / 2**0.5) < 1e-6 for atoms in chunk))
    journal = tmp_path / "journal"
    found = list(screen(structures(5), "predict", model=model, executor=executor, journal=journal))
    failed = [each for each in found if each.failed]
    assert [each.place for each in failed] == [2]
    assert failed[0].result == Failure("MemoryError", "the worker was killed")
    assert len(found) == 5
    again = list(screen(structures(5), "predict", model=model, journal=journal))
    assert not any(each.failed for each in again), "what a worker died of is tried anew"


def test_a_run_goes_on_from_its_journal_wherever_structures_stand(model: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    run = screen(structures(6), "predict", model=model, journal=journal, max_atoms=2)
    for _ in range(3):
        next(run)
    run.close()
    with journal.open("ab") as file:
        file.write(b'{"key": "00", "res')  # a line that was cut off
    executor = Recorder()
    turned = list(structures(6))[::-1]
    found = list(screen(turned, "predict", model=model, journal=journal, executor=executor, max_atoms=2))
    assert executor.chunks == [1, 1, 1]
    expected = list(screen(turned, "predict", model=model))
    assert energies(found) == pytest.approx(energies(expected), abs=1e-9)


def test_a_journal_of_other_settings_is_refused(model: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    list(screen(structures(1), "relax", model=model, journal=journal, max_steps=1))
    with pytest.raises(JournalError, match="other settings"):
        list(screen(structures(1), "relax", model=model, journal=journal, max_steps=2))
    for text in ("some text\n", "some text without an end"):
        (tmp_path / "text").write_text(text)
        with pytest.raises(JournalError, match="no result of a screening"):
            ScreeningResults(tmp_path / "text", {})
        assert (tmp_path / "text").read_text() == text


def test_one_process_writes_to_a_journal(tmp_path: Path) -> None:
    with ScreeningResults(tmp_path / "journal", {}), pytest.raises(ExistingResultsError, match="another process"):
        ScreeningResults(tmp_path / "journal", {})


def test_results_are_on_disk_and_not_in_memory(tmp_path: Path) -> None:
    keys = [key_of(atoms) for atoms in structures(3)]
    with ScreeningResults(tmp_path / "journal", {"what": "relax"}) as results:
        for number, key in enumerate(keys):
            results.add(key, {"energy": number})
    lines = [json.loads(line) for line in (tmp_path / "journal").read_text().splitlines()]
    assert lines[0] == {"settings": {"what": "relax"}}
    with ScreeningResults(tmp_path / "journal", {"what": "relax"}) as results:
        assert [results[key]["energy"] for key in keys] == [0, 1, 2]
        assert list(results.keys()) == keys


def test_structures_are_taken_as_workers_become_free(model: Path) -> None:
    taken = 0

    def counted() -> Iterator[Atoms]:
        nonlocal taken
        for atoms in structures(50):
            taken += 1
            yield atoms

    run = screen(counted(), "predict", model=model, executor=Recorder(), max_atoms=2, in_flight=3)
    next(run)
    assert taken <= 5


def test_an_unknown_workflow_or_setting_is_refused(model: Path) -> None:
    with pytest.raises(ScreeningError, match="there are relax, predict, eos"):
        list(screen(structures(1), "anneal", model=model))
    with pytest.raises(ScreeningError, match="relax has no setting 'fmin': there are fmax, smax"):
        list(screen(structures(1), "relax", model=model, fmin=0.1))


def test_a_broken_pool_says_how_to_go_on(model: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(os._exit, 1)
        with pytest.raises(ScreeningError, match="start again with the same journal"):
            list(screen(structures(1), "predict", model=model, executor=pool))


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_client_of_dask_is_an_executor(model: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install 'torch-gptff[screen]'")
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        found = list(screen(structures(4), "predict", model=model, executor=client, max_atoms=4, dtype="float64"))
    expected = list(screen(structures(4), "predict", model=model, dtype="float64"))
    assert energies(found) == pytest.approx(energies(expected), abs=1e-10)


def test_a_folder_gets_a_table_and_structures_of_a_model_named_by_a_relative_path(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pip install 'torch-gptff[screen]'")
    monkeypatch.chdir(model.parent)
    labelled = [(f"NaCl-{number}", atoms) for number, atoms in enumerate(structures(3))]
    screen_to_folder(labelled[:2], tmp_path, Task("predict", model.name, "float64"))
    found: list[Screened] = []
    screen_to_folder(labelled, tmp_path, Task("predict", str(model), "float64"), on_result=found.append)
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 1 + 3, "two results are kept"
    rows = parquet.read_table(tmp_path / "table.parquet").to_pylist()
    assert [row["label"] for row in rows] == ["NaCl-0", "NaCl-1", "NaCl-2"]
    assert [row["energy"] for row in rows] == energies(found)
    reached = read(tmp_path / "structures.extxyz", ":")
    forces = [each.result.forces for each in sorted(found, key=lambda each: each.place)]
    np.testing.assert_allclose([atoms.get_forces() for atoms in reached], forces, atol=1e-7)
