"""Extended XYZ."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.constraints import FixAtoms
from ase.io import write

from torch_gptff.datasets import is_known, read_frames
from torch_gptff.datasets.consistency import check_work
from torch_gptff.datasets.sources import Source
from torch_gptff.errors import LabelError, NoLabelsError, UnknownFormatError, UnreadableDataError


def test_labels_of_ase(tmp_path: Path, metals: list[Atoms]) -> None:
    path = tmp_path / "metals.extxyz"
    write(path, metals)
    frames = list(read_frames(path))
    assert len(frames) == len(metals)
    for number, (frame, atoms) in enumerate(zip(frames, metals, strict=True)):
        assert frame.energy.item() == pytest.approx(atoms.calc.results["energy"], abs=1e-8)
        np.testing.assert_allclose(frame.forces, atoms.calc.results["forces"], atol=1e-8)
        xx, yy, zz, yz, xz, xy = atoms.calc.results["stress"]
        np.testing.assert_allclose(frame.stress[0], [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], atol=1e-8)
        assert (frame.source, frame.frame_id) == ("metals", f"metals.extxyz@{number}")


def test_reference_labels_come_before_plain_ones(tmp_path: Path, metals: list[Atoms]) -> None:
    """A file may hold a potential's prediction under the plain names; the two are never mixed."""
    atoms = metals[0].copy()
    atoms.calc = metals[0].calc
    atoms.info["REF_energy"] = -1.5
    atoms.arrays["REF_forces"] = np.full((len(atoms), 3), 0.25)
    path = tmp_path / "both.extxyz"
    write(path, atoms)
    (frame,) = read_frames(path)
    assert frame.energy.item() == -1.5
    assert bool((frame.forces == 0.25).all())
    assert not bool(is_known(frame, "stress"))
    (plain,) = read_frames(path, energy_key="energy", forces_key="forces", stress_key="stress")
    assert plain.energy.item() == pytest.approx(metals[0].calc.results["energy"], abs=1e-8)
    assert bool(is_known(plain, "stress"))


def test_other_names_units_and_signs(tmp_path: Path, metals: list[Atoms]) -> None:
    atoms = metals[0].copy()
    atoms.info["dft_energy"] = -3.5
    atoms.info["dft_virial"] = [8.0, 0, 0, 0, 16.0, 0, 0, 0, 24.0]
    path = tmp_path / "dft.extxyz"
    write(path, atoms)
    options = {"energy_key": "dft_energy", "energy": "per atom", "stress_key": "dft_virial", "stress_unit": "eV"}
    (frame,) = read_frames(path, **options, stress_positive="compression")
    assert frame.energy.item() == -14.0
    expected = -torch.diag(torch.tensor([8.0, 16.0, 24.0], dtype=torch.float64)) / atoms.get_volume()
    torch.testing.assert_close(frame.stress[0], expected)
    with pytest.raises(UnknownFormatError, match=r"stress_unit is one of"):
        list(read_frames(path, stress_unit="Pa"))
    with pytest.raises(
        LabelError, match=r"dft.extxyz, frame 0: there is no 'E' to take the energy from; there is.*dft"
    ):
        list(read_frames(path, energy_key="E"))


def test_origin_is_kept(tmp_path: Path, metals: list[Atoms]) -> None:
    atoms = metals[0].copy()
    atoms.calc = metals[0].calc
    atoms.info.update(source="pbe", material="mp-30", frame_id="a-7", split="test")
    write(tmp_path / "one.xyz", atoms, format="extxyz")
    (frame,) = read_frames(tmp_path / "one.xyz")
    assert (frame.source, frame.material, frame.frame_id, frame.split) == ("pbe", "mp-30", "a-7", "test")


def test_constraints_do_not_take_forces_away(tmp_path: Path, metals: list[Atoms]) -> None:
    atoms = metals[0].copy()
    atoms.calc = metals[0].calc
    atoms.set_constraint(FixAtoms([0, 1]))
    write(tmp_path / "fixed.extxyz", atoms)
    (frame,) = read_frames(tmp_path / "fixed.extxyz")
    assert frame.forces[:2].abs().max() > 1e-3


def test_compressed_files_are_streamed(tmp_path: Path, metals: list[Atoms]) -> None:
    write(tmp_path / "metals.extxyz", metals)
    with lzma.open(tmp_path / "metals.extxyz.xz", "wb") as file:
        file.write((tmp_path / "metals.extxyz").read_bytes())
    plain, packed = (list(read_frames(tmp_path / name)) for name in ("metals.extxyz", "metals.extxyz.xz"))
    assert all(torch.equal(one.forces, other.forces) for one, other in zip(plain, packed, strict=True))


def test_bad_files(tmp_path: Path, metals: list[Atoms]) -> None:
    path = tmp_path / "metals.extxyz"
    write(path, metals[:3])
    whole = path.read_text()
    path.write_text(whole[: whole.rstrip().rindex("\n")])
    with pytest.raises(UnreadableDataError, match=r"metals.extxyz, frame 2: truncated, 1 lines are missing"):
        list(read_frames(path))
    path.write_text(whole + "no number\n")
    with pytest.raises(UnreadableDataError, match=r"frame 3: expected a number of atoms, found 'no number'"):
        list(read_frames(path))
    energy = f"energy={metals[1].calc.results['energy']}"
    assert energy in whole
    path.write_text(whole.replace(energy, "energy=nan"))
    with pytest.raises(LabelError, match=r"metals.extxyz, frame 1: the energy is not finite"):
        list(read_frames(path))


def test_a_file_without_labels(tmp_path: Path, metals: list[Atoms]) -> None:
    path = tmp_path / "bare.extxyz"
    write(path, [atoms.copy() for atoms in metals])
    assert len(list(read_frames(path))) == len(metals)
    with pytest.raises(NoLabelsError, match=r"bare.extxyz: no frame has an energy, forces or a stress"):
        list(Source(path).read())


def test_teacher_frames(shared_data: Path) -> None:
    """The first 500 of them; all have every label, and the labels belong together."""
    source = Source(shared_data / "data/teacher_frames/frames_0.extxyz.xz", name="teacher")
    frames = list(islice(source.read(), 500))
    assert all(bool(is_known(frame, label).all()) for frame in frames for label in ("energy", "forces", "stress"))
    assert {frame.split for frame in frames} <= {"test", "train"}
    assert frames[0].material == "BiO3"
    (check,) = check_work(frames)
    assert check.suspicions() == []
    assert check.forces is not None
    assert check.stress is not None


def test_frames_are_read_before_the_file_ends(tmp_path: Path, make_atoms: Callable[..., Atoms]) -> None:
    path = tmp_path / "long.extxyz"
    write(path, [make_atoms(0)])
    path.write_text(path.read_text() + "garbage\n")
    stream = read_frames(path)
    assert next(stream).energy.isfinite()
    with pytest.raises(UnreadableDataError):
        next(stream)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_other_encodings(tmp_path: Path, metals: list[Atoms], encoding: str) -> None:
    """A byte-order mark, and a comment that is no UTF-8."""
    atoms = metals[0].copy()
    atoms.calc, atoms.info["author"] = metals[0].calc, "Poincaré"
    write(tmp_path / "a.extxyz", atoms)
    (tmp_path / "a.extxyz").write_bytes((tmp_path / "a.extxyz").read_text(encoding="utf-8").encode(encoding))
    (frame,) = read_frames(tmp_path / "a.extxyz")
    assert frame.energy.item() == pytest.approx(metals[0].calc.results["energy"], abs=1e-8)


@pytest.mark.parametrize(("first", "said"), [("9" * 20, "truncated"), ("-1", "expected a number of atoms, found '-1'")])
def test_numbers_of_atoms_that_no_file_has(tmp_path: Path, first: str, said: str) -> None:
    (tmp_path / "a.extxyz").write_text(f"{first}\n\nCu 0 0 0\n")
    with pytest.raises(UnreadableDataError, match=f"frame 0: {said}"):
        list(read_frames(tmp_path / "a.extxyz"))
