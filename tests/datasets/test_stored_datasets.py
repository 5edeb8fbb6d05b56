"""What the three datasets share: PyG's conventions, everything or nothing, and what is half-written or damaged."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ase import Atoms
from ase.io import write
from safetensors import SafetensorError
from torch_geometric.data import Batch, Dataset
from torch_geometric.loader import DataLoader
from torch_geometric.transforms import Compose

from torch_gptff.datasets import (
    CrystalDataset,
    LMDBCrystalDataset,
    OnDiskCrystalDataset,
    Source,
    dataset_fingerprint,
    detect_format,
    in_memory,
    index,
    on_disk,
    open_dataset,
    read_frames,
    store,
)
from torch_gptff.errors import CorruptDatasetError, DatasetError, LabelError
from torch_gptff.graph import BondAngles, CrystalData, PeriodicRadiusGraph

KINDS = [CrystalDataset, OnDiskCrystalDataset, LMDBCrystalDataset]
Kind = Any

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


@pytest.fixture
def data(tmp_path: Path, metals: list[Atoms]) -> Path:
    path = tmp_path / "metals.extxyz"
    write(path, metals)
    return path


def equal(one: CrystalData, other: CrystalData) -> bool:
    keys = set(one.keys())
    assert keys == set(other.keys())
    return all(
        one[key] == other[key] if isinstance(one[key], str) else torch.equal(one[key], other[key]) for key in keys
    )


def leftovers(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*")) if root.exists() else []


@every_kind
def test_frames_come_back_as_they_were_read(kind: Kind, data: Path, tmp_path: Path, metals: list[Atoms]) -> None:
    dataset = kind(tmp_path / "root", data)
    assert len(dataset) == len(metals)
    assert repr(dataset) == f"{kind.__name__}({len(metals)})"
    for frame, expected in zip(dataset, read_frames(data), strict=True):
        assert equal(frame, expected)
    again = kind(tmp_path / "root")
    assert all(equal(one, other) for one, other in zip(dataset, again, strict=True))
    assert dataset.index.fingerprint == dataset_fingerprint(read_frames(data)) == dataset_fingerprint(again)


@every_kind
def test_transforms_and_filters(kind: Kind, data: Path, tmp_path: Path) -> None:
    graph = Compose([PeriodicRadiusGraph(4.0), BondAngles(3.2)])
    n_large = sum(len(frame.z) == 8 for frame in read_frames(data))
    stored = kind(tmp_path / "stored", data, pre_transform=graph, pre_filter=lambda frame: len(frame.z) == 8)
    built = kind(tmp_path / "built", data, transform=graph)
    assert len(stored) == n_large < len(built)
    large = [frame for frame in built if len(frame.z) == 8]
    assert all(equal(one, other) for one, other in zip(stored, large, strict=True))
    assert stored[0].angle_index.size(1) > 0
    assert "edge_index" not in built.get(0)
    assert len(kind(tmp_path / "stored")) == n_large  # by its root alone, and without a warning


@every_kind
def test_a_part_of_a_dataset_through_a_loader(kind: Kind, data: Path, tmp_path: Path) -> None:
    """PyG's own dataset on disk gives a loader the frames of the whole where it was asked for a part."""
    dataset = kind(tmp_path / "root", data)
    part = dataset[[7, 2, 9]]
    assert [frame.frame_id for frame in part] == [f"metals.extxyz@{number}" for number in (7, 2, 9)]
    batches = list(DataLoader(part, batch_size=2))
    assert [name for batch in batches for name in batch.frame_id] == [f"metals.extxyz@{number}" for number in (7, 2, 9)]
    expected = Batch.from_data_list([dataset[7], dataset[2]])
    assert torch.equal(batches[0].forces, expected.forces)
    assert part.stored_fingerprint is None
    assert dataset_fingerprint(part) != dataset_fingerprint(dataset)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine with one core
@every_kind
def test_workers_read_it_at_once(kind: Kind, data: Path, tmp_path: Path) -> None:
    """After this process has opened it, which a fork would inherit."""
    dataset = kind(tmp_path / "root", data)
    first = dataset[0]
    loader = DataLoader(dataset, batch_size=1, num_workers=2, multiprocessing_context="fork")
    for _ in range(2):
        batches = list(loader)
        assert len(batches) == len(dataset)
        assert all(torch.equal(batch.pos, frame.pos) for batch, frame in zip(batches, dataset, strict=True))
    assert equal(dataset[0], first)
    assert equal(pickle.loads(pickle.dumps(dataset))[3], dataset[3])


@every_kind
def test_what_is_stored_is_not_taken_for_something_else(
    kind: Kind, data: Path, tmp_path: Path, make_atoms: Callable[..., Atoms]
) -> None:
    root, other = tmp_path / "root", tmp_path / "other.extxyz"
    write(other, [make_atoms(40)])
    kind(root, data)
    with pytest.raises(CorruptDatasetError, match=r"holds a dataset made of metals.extxyz, and other.extxyz is asked"):
        kind(root, other)
    with pytest.raises(CorruptDatasetError, match=r"or with other options"):
        kind(root, Source(data, name="dft"))
    with pytest.raises(CorruptDatasetError, match=r"or with other options"):
        kind(root, Source(data, options={"energy_key": "energy"}))
    assert len(kind(root, other, force_reload=True)) == 1
    assert len(kind(root, other)) == 1
    with pytest.warns(UserWarning, match=r"`pre_transform` argument differs"):
        kind(root, other, pre_transform=PeriodicRadiusGraph(3.0))
    assert len([name for name in leftovers(root / "processed") if name.startswith(f"{kind.kind}-")]) == 1


@every_kind
def test_raw_files_are_the_sources_where_none_are_given(kind: Kind, data: Path, tmp_path: Path) -> None:
    raw = tmp_path / "root" / "raw"
    with pytest.raises(DatasetError, match=r"nothing is stored here, and there is nothing to make it of"):
        kind(tmp_path / "root")
    raw.mkdir(parents=True)
    (raw / "b.extxyz").write_bytes(data.read_bytes())
    (raw / "a.extxyz").write_bytes(data.read_bytes())
    dataset = kind(tmp_path / "root")
    assert [dataset[number].source for number in (0, 12)] == ["a", "b"]


@every_kind
def test_a_bad_frame_leaves_nothing(kind: Kind, data: Path, tmp_path: Path, metals: list[Atoms]) -> None:
    bad = tmp_path / "bad.extxyz"
    energy = f"energy={metals[-1].calc.results['energy']}"
    bad.write_text(data.read_text().replace(energy, "energy=nan"))
    with pytest.raises(LabelError, match=r"bad.extxyz, frame 11: the energy is not finite"):
        kind(tmp_path / "root", [data, bad])
    assert leftovers(tmp_path / "root") == []
    with pytest.raises(DatasetError, match=r"no frame is left|at least one frame"):
        kind(tmp_path / "root", data, pre_filter=lambda frame: False)
    assert leftovers(tmp_path / "root") == []


@every_kind
def test_a_failed_replacement_keeps_what_there_was(kind: Kind, data: Path, tmp_path: Path) -> None:
    before = kind(tmp_path / "root", data)
    files = leftovers(tmp_path / "root")
    (tmp_path / "bad.extxyz").write_text(data.read_text() + "garbage\n")
    with pytest.raises(DatasetError):
        kind(tmp_path / "root", tmp_path / "bad.extxyz", force_reload=True)
    assert leftovers(tmp_path / "root") == files
    assert equal(kind(tmp_path / "root", data)[5], before[5])


def safetensors_full(tensors: Any, path: Path, metadata: Any) -> None:
    path.write_bytes(b"half of it")
    raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


def sqlite_full(*_: object, **__: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


@every_kind
def test_a_full_disk_leaves_nothing(kind: Kind, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lmdb = pytest.importorskip("lmdb")

    def lmdb_full(*_: object, **__: object) -> None:
        raise lmdb.DiskError("mdb_txn_commit: No space left on device")

    written: list[int] = []
    if kind is CrystalDataset:
        monkeypatch.setattr("safetensors.torch.save_file", safetensors_full)
    elif kind is OnDiskCrystalDataset:
        monkeypatch.setattr(on_disk, "BATCH", 5)
        multi_insert = on_disk.SQLiteDatabase.multi_insert

        def second_fails(self: Any, indices: Any, rows: Any) -> None:
            (sqlite_full if written else multi_insert)(self, indices, rows)
            written.append(len(rows))

        monkeypatch.setattr(on_disk.SQLiteDatabase, "multi_insert", second_fails)
    else:
        monkeypatch.setattr(store, "FRAMES_PER_BLOCK", 2)
        monkeypatch.setattr(store, "_BLOCKS_PER_COMMIT", 2)
        put = store._put

        def second_put_fails(environment: Any, blocks: Any) -> None:
            (lmdb_full if written else put)(environment, blocks)
            written.append(len(blocks))

        monkeypatch.setattr(store, "_put", second_put_fails)
    with pytest.raises(OSError, match=r"no room left after \d+ frames; nothing is kept of them") as raised:
        kind(tmp_path / "root", data)
    assert raised.value.errno == errno.ENOSPC
    assert leftovers(tmp_path / "root") == []
    monkeypatch.undo()
    assert len(kind(tmp_path / "root", data)) == 12


def in_another_process(run: Callable[..., object], *arguments: object) -> Any:
    process = multiprocessing.get_context("fork").Process(target=run, args=arguments)
    process.start()
    return process


def store_and_be_killed(kind: Kind, root: Path, data: Path) -> None:
    """Up to the moment when all frames are written, and the index is not."""
    index.Index.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    kind(root, data)


@every_kind
def test_a_killed_conversion_is_recognised_and_cleaned_up(kind: Kind, data: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    process = in_another_process(store_and_be_killed, kind, root, data)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert any(name.startswith(f"processed/{kind.kind}-") for name in leftovers(root))
    assert detect_format(root) == "dataset"
    with pytest.raises(CorruptDatasetError, match=r"storing this dataset was never finished; store it again"):
        kind(root)
    with pytest.raises(CorruptDatasetError, match=r"never finished"):
        list(read_frames(root))
    assert len(kind(root, data)) == 12
    assert len([name for name in leftovers(root) if name.startswith(f"processed/{kind.kind}-")]) == 1


@every_kind
def test_a_truncated_file_is_noticed_before_it_is_read(kind: Kind, data: Path, tmp_path: Path) -> None:
    dataset = kind(tmp_path / "root", data)
    file = dataset.index_path.parent / dataset.index.files[0].name
    whole = file.read_bytes()
    file.unlink()
    with pytest.raises(CorruptDatasetError, match=rf"{file.name} is missing; store the dataset again"):
        kind(tmp_path / "root")
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptDatasetError, match=r"bytes where \d+ were written: it is truncated or was altered"):
        kind(tmp_path / "root")
    assert len(kind(tmp_path / "root", data, force_reload=True)) == 12


@every_kind
def test_a_damaged_frame_is_noticed_when_it_is_read(kind: Kind, data: Path, tmp_path: Path) -> None:
    dataset = kind(tmp_path / "root", data)
    file = dataset.index_path.parent / dataset.index.files[0].name
    content = bytearray(file.read_bytes())
    value = dataset[4].energy.numpy().tobytes()
    at = content.index(value)
    content[at] ^= 1
    file.write_bytes(bytes(content))
    if kind is CrystalDataset:  # the numbers of one file, read once: its header is what can be verified
        content[20] ^= 255
        file.write_bytes(bytes(content))
        with pytest.raises(CorruptDatasetError, match=r"is damaged"):
            kind(tmp_path / "root")
        return
    damaged = pickle.loads(pickle.dumps(dataset)) if kind is OnDiskCrystalDataset else kind(tmp_path / "root")
    if kind is LMDBCrystalDataset:
        store._ENVIRONMENTS.clear()
    with pytest.raises(CorruptDatasetError, match=r"frame 4 is damaged \(.*check sum"):
        damaged[4]
    assert damaged[5].energy.isfinite()


@every_kind
@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": "other"}', '{"format": "torch-gptff frames", "version": 99}']
)
def test_an_index_that_is_none(kind: Kind, data: Path, tmp_path: Path, content: str) -> None:
    dataset = kind(tmp_path / "root", data)
    dataset.index_path.write_text(content)
    with pytest.raises(CorruptDatasetError, match=rf"{kind.kind}.json: (not the index|stored by another version)"):
        kind(tmp_path / "root")


def test_frames_at_hand_make_a_dataset(frames: list[CrystalData]) -> None:
    dataset = CrystalDataset.from_frames(iter(frames), transform=PeriodicRadiusGraph(3.5))
    assert len(dataset) == len(frames)
    assert dataset[3].num_edges > 0
    assert torch.equal(dataset[3].forces, frames[3].forces)
    assert len(CrystalDataset.from_frames(frames[:1])) == 1
    with pytest.raises(DatasetError, match=r"at least one frame"):
        CrystalDataset.from_frames([])


def test_one_frame_can_be_stored(tmp_path: Path, make_atoms: Callable[..., Atoms]) -> None:
    write(tmp_path / "one.extxyz", make_atoms(1))
    for kind in KINDS:
        dataset: Dataset = kind(tmp_path / kind.__name__, tmp_path / "one.extxyz")
        assert len(dataset) == 1
        assert len(kind(tmp_path / kind.__name__)[0].z) == 4


def test_what_is_at_hand_is_opened(tmp_path: Path, data: Path) -> None:
    for kind in KINDS:
        kind(tmp_path / kind.kind, data)
        opened = open_dataset(tmp_path / kind.kind, transform=PeriodicRadiusGraph(3.0))
        assert type(opened) is kind
        assert "edge_index" in opened[0]
    both = open_dataset([data, tmp_path / "lmdb"])
    assert type(both) is CrystalDataset
    assert len(both) == 24
    named = open_dataset(Source(tmp_path / "lmdb", name="dft"))
    assert {frame.source for frame in named} == {"dft"}


@every_kind
def test_several_processes_make_one_dataset(kind: Kind, tmp_path: Path, data: Path) -> None:
    """As the ranks of a distributed run do: the first stores it, the others wait and read."""
    running = [in_another_process(read_all, kind, tmp_path / "root", data) for _ in range(3)]
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0] * 3
    stored = [name for name in leftovers(tmp_path / "root") if name.startswith(f"processed/{kind.kind}-")]
    assert len(stored) == 1


def read_all(kind: Kind, root: Path, data: Path) -> None:
    assert len(list(kind(root, data))) == 12


def test_a_memory_dataset_is_no_pickle(tmp_path: Path, data: Path) -> None:
    dataset = CrystalDataset(tmp_path / "root", data)
    (file,) = (dataset.index_path.parent / each.name for each in dataset.index.files)
    from safetensors import safe_open

    with safe_open(file, framework="pt") as content:
        assert "data.forces" in content.keys()  # noqa: SIM118, it is no mapping
    assert in_memory._load(file)[0].frame_id[3] == "metals.extxyz@3"
