"""Keys that are neither structure nor label: told, or kept as fields of the record."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.db import connect
from ase.io import write
from torch_geometric.loader import DataLoader

from torch_gptff.datasets import CrystalDataset, OnDiskCrystalDataset, read_frames
from torch_gptff.datasets.extxyz import write_extxyz
from torch_gptff.datasets.sources import Source
from torch_gptff.errors import LabelError, NoLabelsError, UnknownFormatError


@pytest.fixture
def annotated(metals: list[Atoms]) -> list[Atoms]:
    """Labelled frames with a gap, a dipole, a text, and magnetic moments of the atoms."""
    frames = []
    for number, atoms in enumerate(metals[:3]):
        copy = atoms.copy()
        copy.calc = atoms.calc
        copy.info |= {"band_gap": number + 0.5, "polarization": np.array([0.1, 0.2, number]), "code": "vasp"}
        copy.arrays["magmom"] = np.arange(len(copy)) * 0.5
        copy.arrays["spin"] = np.ones((len(copy), 3)) * number
        frames.append(copy)
    return frames


def test_what_is_not_read_is_told(tmp_path: Path, annotated: list[Atoms], caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "a.extxyz", annotated)
    with caplog.at_level(logging.INFO, "torch_gptff"):
        list(read_frames(tmp_path / "a.extxyz"))
    assert (
        "no label, and not read: band_gap, magmom of atoms, polarization, spin of atoms (--option keep=KEY,KEY keeps"
        in caplog.text
    )


def test_nothing_else_is_told(tmp_path: Path, metals: list[Atoms], caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "a.extxyz", metals[:2])
    with caplog.at_level(logging.INFO, "torch_gptff"):
        list(read_frames(tmp_path / "a.extxyz"))
    assert "energy from energy" in caplog.text
    assert "not read" not in caplog.text


def test_keys_of_extended_xyz_are_kept(tmp_path: Path, annotated: list[Atoms]) -> None:
    write(tmp_path / "a.extxyz", annotated)
    frames = list(read_frames(tmp_path / "a.extxyz", keep="band_gap,magmom,polarization,code,spin"))
    for number, (frame, atoms) in enumerate(zip(frames, annotated, strict=True)):
        assert frame.band_gap.tolist() == [number + 0.5]
        assert frame.polarization.tolist() == [[0.1, 0.2, number]]
        assert frame.code == "vasp"
        assert frame.magmom.tolist() == [0.5 * k for k in range(len(atoms))]
        assert frame.spin.shape == (len(atoms), 3)
        assert frame.energy.item() == pytest.approx(atoms.calc.results["energy"], abs=1e-7)
    batch = next(iter(DataLoader(frames, batch_size=3)))
    assert batch.band_gap.tolist() == [0.5, 1.5, 2.5]
    assert batch.polarization.shape == (3, 3)
    assert len(batch.magmom) == batch.num_nodes


def test_keys_of_a_database_are_kept(tmp_path: Path, metals: list[Atoms]) -> None:
    with connect(tmp_path / "a.db") as database:
        for number, atoms in enumerate(metals[:2]):
            database.write(atoms, band_gap=number + 0.5, data={"dos": np.arange(4.0)})
    frames = list(read_frames(tmp_path / "a.db", keep=["band_gap", "dos"]))
    assert [frame.band_gap.item() for frame in frames] == [0.5, 1.5]
    assert frames[0].dos.tolist() == [[0.0, 1.0, 2.0, 3.0]]


def test_what_is_kept_is_stored(tmp_path: Path, annotated: list[Atoms]) -> None:
    write(tmp_path / "a.extxyz", annotated)
    keep = "band_gap,magmom,polarization,code"
    source = Source(tmp_path / "a.extxyz", options={"keep": keep})
    write_extxyz(tmp_path / "b.extxyz", source.read())
    stored = [
        CrystalDataset(tmp_path / "memory", source, log=False),
        OnDiskCrystalDataset(tmp_path / "disk", source, log=False),
        list(read_frames(tmp_path / "b.extxyz", keep=keep)),
    ]
    for frame, *others in zip(source.read(), *stored, strict=True):
        for other in others:
            assert other.code == frame.code
            for key in ("band_gap", "magmom", "polarization"):
                torch.testing.assert_close(other[key], frame[key])


def test_frames_without_labels_are_read_for_what_is_kept(tmp_path: Path, annotated: list[Atoms]) -> None:
    for atoms in annotated:
        atoms.calc = None
        atoms.info["formation_energy"] = -1.0
    write(tmp_path / "a.extxyz", annotated)
    with pytest.raises(NoLabelsError, match=r"are these some: formation_energy"):
        list(Source(tmp_path / "a.extxyz").read())
    frames = list(Source(tmp_path / "a.extxyz", options={"keep": "band_gap"}).read())
    assert [frame.band_gap.item() for frame in frames] == [0.5, 1.5, 2.5]


def test_what_cannot_be_kept_is_refused(tmp_path: Path, annotated: list[Atoms]) -> None:
    del annotated[1].info["band_gap"]
    write(tmp_path / "a.extxyz", annotated)
    with pytest.raises(LabelError, match=r"a.extxyz, frame 1: there is no 'band_gap' to keep; there is code, energy"):
        list(read_frames(tmp_path / "a.extxyz", keep="band_gap"))
    for key in ("pos", "energy", "batch", "angle_index", "my_index", "keys", "num_nodes", "a b", ""):
        with pytest.raises(UnknownFormatError, match=f"no field of a record can be called '{key}'"):
            list(read_frames(tmp_path / "a.extxyz", keep=[key]))
