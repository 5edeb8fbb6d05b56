"""Folders that were made to do harm: nothing outside them is opened, written or removed, and nothing in them is run."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from ase import Atoms
from ase.io import write

from torch_gptff.datasets import CrystalDataset, LMDBCrystalDataset, OnDiskCrystalDataset, read_frames
from torch_gptff.errors import CorruptDatasetError, DatasetError

KINDS = [CrystalDataset, OnDiskCrystalDataset, LMDBCrystalDataset]
Kind = Any

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


class TouchesAFile:
    """Unpickling it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.file}'",)


@pytest.fixture
def data(tmp_path: Path, metals: list[Atoms]) -> Path:
    path = tmp_path / "metals.extxyz"
    write(path, metals)
    return path


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim.txt"
    path.write_text("precious\n")
    return path


def name_in_index(dataset: Any, name: str, size: int) -> None:
    document = json.loads(dataset.index_path.read_text())
    document["files"][0] |= {"name": name, "size": size}
    dataset.index_path.write_text(json.dumps(document))


@every_kind
@pytest.mark.parametrize(
    "form", ["../../victim.txt", "absolute", "{kind}-/../../../victim.txt", "..", "other-file", ""]
)
def test_an_index_that_names_other_files_is_not_followed(
    kind: Kind, data: Path, victim: Path, tmp_path: Path, form: str
) -> None:
    dataset = kind(tmp_path / "root", data)
    (dataset.index_path.parent / "other-file").write_text("precious\n")
    name = str(victim) if form == "absolute" else form.format(kind=kind.kind)
    name_in_index(dataset, name, victim.stat().st_size)
    with pytest.raises(CorruptDatasetError, match=r"no file of a .* dataset in this folder.*not followed"):
        kind(tmp_path / "root")
    with pytest.raises(CorruptDatasetError, match=r"not followed"):
        list(read_frames(tmp_path / "root"))
    assert len(kind(tmp_path / "root", data, force_reload=True)) == 12
    assert victim.read_text() == "precious\n"
    assert (dataset.index_path.parent / "other-file").exists()


@every_kind
def test_links_are_not_followed(kind: Kind, data: Path, victim: Path, tmp_path: Path) -> None:
    dataset = kind(tmp_path / "root", data)
    file = dataset.index_path.parent / dataset.index.files[0].name
    elsewhere = tmp_path / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    with pytest.raises(CorruptDatasetError, match=r"is a symbolic link"):
        kind(tmp_path / "root")
    assert len(kind(tmp_path / "root", data, force_reload=True)) == 12
    assert elsewhere.exists()
    lock = dataset.index_path.with_suffix(".lock")
    lock.unlink(missing_ok=True)
    lock.symlink_to(victim)
    with pytest.raises(CorruptDatasetError, match=r"lock is a symbolic link"):
        kind(tmp_path / "root", data, force_reload=True)
    assert victim.read_text() == "precious\n"
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "processed").symlink_to(dataset.index_path.parent)
    with pytest.raises(CorruptDatasetError, match=r"processed is a symbolic link"):
        kind(tmp_path / "linked", data, force_reload=True)


@every_kind
def test_nothing_in_the_folder_is_unpickled(kind: Kind, data: Path, tmp_path: Path) -> None:
    dataset = kind(tmp_path / "root", data)
    ran = tmp_path / "ran"
    for name in ("pre_transform.pt", "pre_filter.pt"):
        torch.save(TouchesAFile(ran), dataset.index_path.parent / name)
    assert len(kind(tmp_path / "root")) == len(kind(tmp_path / "root", data)) == 12
    assert len(kind(tmp_path / "root", data, force_reload=True)) == 12
    dataset.index_path.unlink()
    with pytest.raises(DatasetError, match=r"never finished"):
        list(read_frames(tmp_path / "root"))
    assert not ran.exists()


def test_a_journal_beside_a_database_is_not_played_back(data: Path, tmp_path: Path) -> None:
    """SQLite would change the database by it."""
    dataset = OnDiskCrystalDataset(tmp_path / "root", data)
    file = dataset.index_path.parent / dataset.index.files[0].name
    before = file.read_bytes()
    (page_size,) = struct.unpack_from(">H", before, 16)
    to_one_page = bytes.fromhex("d9d505f920a163d7") + struct.pack(">5I", 0xFFFFFFFF, 0, 1, 512, page_size)
    Path(f"{file}-journal").write_bytes(to_one_page.ljust(512, b"\0"))
    again = OnDiskCrystalDataset(tmp_path / "root")
    assert again[11].energy.isfinite()
    assert file.read_bytes() == before
    assert Path(f"{file}-journal").exists()


@every_kind
def test_what_killed_processes_left_is_removed(kind: Kind, data: Path, tmp_path: Path) -> None:
    """But no file that only looks alike."""
    processed = tmp_path / "root" / "processed"
    processed.mkdir(parents=True)
    left = [f"{kind.kind}-0123abcd-00000.mdb", f"{kind.kind}-0123abcd.db-journal", f".{kind.kind}-abc.json"]
    other = [f"{kind.kind}-notes.txt", "notes.txt"]
    for name in (*left, *other):
        (processed / name).touch()
    kind(tmp_path / "root", data)
    assert not any((processed / name).exists() for name in left)
    assert all((processed / name).exists() for name in other)
