"""Shards, blocks and processes of the LMDB store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from ase import Atoms
from ase.io import write

from torch_gptff.datasets import LMDBCrystalDataset, store
from torch_gptff.datasets.store import write_shards
from torch_gptff.errors import CorruptDatasetError, DatasetError
from torch_gptff.graph import CrystalData

lmdb = pytest.importorskip("lmdb")


@pytest.fixture
def data(tmp_path: Path, metals: list[Atoms]) -> Path:
    write(tmp_path / "metals.extxyz", metals * 3)
    return tmp_path / "metals.extxyz"


@pytest.mark.parametrize("frames_per_shard", [1, 5, 12, 35, 36, 37])
@pytest.mark.parametrize("frames_per_block", [1, 4, 64])
def test_every_frame_is_found_whatever_the_shards_and_blocks(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, frames_per_shard: int, frames_per_block: int
) -> None:
    monkeypatch.setattr(store, "FRAMES_PER_BLOCK", frames_per_block)
    dataset = LMDBCrystalDataset(tmp_path / "root", data, frames_per_shard=frames_per_shard)
    assert [file.frames for file in dataset.index.files] == [frames_per_shard] * (36 // frames_per_shard) + [
        36 % frames_per_shard
    ] * bool(36 % frames_per_shard)
    assert [frame.frame_id for frame in dataset] == [f"metals.extxyz@{number}" for number in range(36)]
    for number in (35, 0, 17, 17, 5, -1):
        assert dataset[number].frame_id == f"metals.extxyz@{number % 36}"
    with pytest.raises(IndexError):
        dataset.get(36)


def test_the_map_grows_with_the_data(
    tmp_path: Path, frames: list[CrystalData], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_FIRST_MAP_SIZE", 1 << 15)
    frames[0].extra = torch.zeros(20_000, dtype=torch.float64)
    ((file, number),) = write_shards(iter(frames * 8), tmp_path / "grown")
    assert number == 96
    assert file.stat().st_size > 8 * 160_000


def test_only_what_was_written_takes_room(tmp_path: Path, data: Path) -> None:
    dataset = LMDBCrystalDataset(tmp_path / "root", data)
    (file,) = dataset.index.files
    n_bytes = sum(8 + len(store.encode(dataset.get(number))) for number in range(36))
    assert n_bytes < file.size < 1.1 * n_bytes + 40_000


def test_two_datasets_over_one_file(tmp_path: Path, data: Path) -> None:
    """LMDB refuses to open a file twice in one process."""
    one = LMDBCrystalDataset(tmp_path / "root", data)
    other = LMDBCrystalDataset(tmp_path / "root", data)
    assert torch.equal(one[3].pos, other[3].pos)


def test_a_forked_process_opens_it_for_itself(tmp_path: Path, data: Path) -> None:
    dataset = LMDBCrystalDataset(tmp_path / "root", data)
    expected = dataset[7].pos
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        same = torch.equal(dataset[7].pos, expected)
        os.write(writer, b"same" if same and store._opened_by == os.getpid() else b"else")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 4) == b"same"
    assert torch.equal(dataset[7].pos, expected)


def test_a_file_that_is_no_lmdb(tmp_path: Path, data: Path) -> None:
    dataset = LMDBCrystalDataset(tmp_path / "root", data)
    file = tmp_path / "root" / "processed" / dataset.index.files[0].name
    file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(CorruptDatasetError, match=r"frame 0 is damaged"):
        dataset[0]


def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(DatasetError, match=r"pip install torch-gptff\[lmdb\]"):
        LMDBCrystalDataset(tmp_path / "root", data)
