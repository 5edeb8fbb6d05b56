"""The keys that labels are read from: every name that programs write, one naming a file, nothing dropped in silence."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.io import write

from torch_gptff.datasets import is_known, read_frames
from torch_gptff.datasets.sources import Source
from torch_gptff.errors import LabelError, NoLabelsError
from torch_gptff.graph import CrystalData


def bare(atoms: Atoms) -> Atoms:
    """The atoms without labels."""
    copy = atoms.copy()
    copy.calc = None
    return copy


def named(atoms: Atoms, energy: str, forces: str, stress: str) -> Atoms:
    """The atoms with their labels under these names."""
    copy, results = bare(atoms), atoms.calc.results
    copy.info[energy] = results["energy"]
    copy.arrays[forces] = results["forces"]
    xx, yy, zz, yz, xz, xy = results["stress"]
    tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    copy.info[stress] = -tensor * atoms.get_volume() if "virial" in stress.lower() else tensor
    return copy


def assert_labels(frame: CrystalData, atoms: Atoms) -> None:
    xx, yy, zz, yz, xz, xy = atoms.calc.results["stress"]
    assert frame.energy.item() == pytest.approx(atoms.calc.results["energy"], abs=1e-7)
    np.testing.assert_allclose(frame.forces, atoms.calc.results["forces"], atol=1e-7)
    np.testing.assert_allclose(frame.stress[0], [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], atol=1e-7)


@pytest.mark.parametrize(
    "names",
    [
        ("energy", "force", "virial"),  # GPUMD
        ("energy", "forces", "virials"),
        ("free_energy", "forces", "stress"),
        ("REF_energy", "REF_forces", "REF_virials"),
        ("REF_energy", "REF_force", "REF_stress"),
        ("dft_energy", "dft_force", "dft_virial"),  # quippy
        ("DFT_Energy", "DFT_Forces", "DFT_Virial"),
        ("MACE_energy", "MACE_forces", "MACE_stress"),
        ("ref_free_energy", "ref_forces", "ref_virial"),
        ("total_energy", "forces", "stress"),
    ],
)
def test_every_name_that_programs_write(tmp_path: Path, metals: list[Atoms], names: tuple[str, str, str]) -> None:
    write(tmp_path / "a.extxyz", [named(atoms, *names) for atoms in metals[:3]])
    for frame, atoms in zip(read_frames(tmp_path / "a.extxyz"), metals, strict=False):
        assert_labels(frame, atoms)


def test_what_is_read_is_told(tmp_path: Path, metals: list[Atoms], caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "a.extxyz", [named(atoms, "energy", "force", "virial") for atoms in metals[:3]])
    with caplog.at_level(logging.INFO, "torch_gptff"):
        list(read_frames(tmp_path / "a.extxyz"))
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "a.extxyz: energy from energy, forces from force, stress from virial (−stress × volume)" in record.message


def test_the_same_number_under_another_name_is_not_told(
    tmp_path: Path, metals: list[Atoms], caplog: pytest.LogCaptureFixture
) -> None:
    """ASE writes ``free_energy`` beside ``energy``, quippy a virial beside the stress."""
    frames = [named(atoms, "energy", "forces", "stress") for atoms in metals[:3]]
    for copy, atoms in zip(frames, metals, strict=False):
        copy.info["free_energy"] = copy.info["energy"]
        copy.info["virial"] = named(atoms, "energy", "forces", "virial").info["virial"]
    write(tmp_path / "a.extxyz", frames)
    with caplog.at_level(logging.INFO, "torch_gptff"):
        list(read_frames(tmp_path / "a.extxyz"))
    assert "not read" not in caplog.text
    for copy in frames:
        copy.info["virial"] = -copy.info["virial"]
        copy.info["free_energy"] += 0.1
    write(tmp_path / "a.extxyz", frames)
    with caplog.at_level(logging.INFO, "torch_gptff"):
        list(read_frames(tmp_path / "a.extxyz"))
    assert "not read: free_energy (3 frames), virial (3 frames)" in caplog.text


def test_labels_that_remain_unread_are_warned_of(
    tmp_path: Path, metals: list[Atoms], caplog: pytest.LogCaptureFixture
) -> None:
    frames = [named(atoms, "REF_energy", "forces", "vasp_stress") for atoms in metals[:2]]
    write(tmp_path / "a.extxyz", frames)
    (first, _) = read_frames(tmp_path / "a.extxyz")
    assert not bool(is_known(first, "forces").any())
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert (
        "not read: forces (2 frames), vasp_stress (2 frames), which leaves forces and stress unknown" in record.message
    )


def test_one_naming_a_file(tmp_path: Path, metals: list[Atoms]) -> None:
    """Every second frame has REF_*, and all have the labels of another potential."""
    frames = []
    for number, atoms in enumerate(metals[:4]):
        copy = named(atoms, "energy", "forces", "stress")
        copy.info["energy"] += 100
        if number % 2:
            labels = named(atoms, "REF_energy", "REF_forces", "REF_stress")
            copy.info |= labels.info
            copy.arrays |= labels.arrays
        frames.append(copy)
    path = tmp_path / "half.extxyz"
    write(path, frames)
    with pytest.raises(
        LabelError, match=r"half.extxyz, frame 1: its labels are named REF_\*, .*naming=ref_ or naming=pl"
    ):
        list(read_frames(path))
    write(path, frames[::-1])
    with pytest.raises(LabelError, match=r"half.extxyz, frame 1: its labels are plainly named, .* named REF_\*"):
        list(read_frames(path))
    of_reference = list(read_frames(path, naming="REF_"))
    assert [bool(is_known(frame, "energy").all()) for frame in of_reference] == [True, False, True, False]
    assert_labels(of_reference[0], metals[3])
    plain = list(read_frames(path, naming="plain"))
    assert plain[0].energy.item() == pytest.approx(metals[3].calc.results["energy"] + 100)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("energy", "forces", "stress"), ("free_energy", "forces", "stress")),
        (("energy", "forces", "stress"), ("energy", "force", "stress")),
        (("energy", "forces", "virial"), ("energy", "forces", "stress")),
    ],
)
def test_one_key_a_label(tmp_path: Path, metals: list[Atoms], one: tuple[str, ...], other: tuple[str, ...]) -> None:
    write(tmp_path / "a.extxyz", named(metals[0], *one))
    write(tmp_path / "a.extxyz", named(metals[1], *other), append=True)
    with pytest.raises(LabelError, match=r"a.extxyz, frame 1: its .* (is|are) under '.*', and in the frames before"):
        list(read_frames(tmp_path / "a.extxyz"))


def test_names_that_nobody_knows_are_named(tmp_path: Path, metals: list[Atoms]) -> None:
    write(tmp_path / "a.extxyz", [named(atoms, "vasp_energy", "vasp_force", "vasp_virial") for atoms in metals[:2]])
    with pytest.raises(NoLabelsError, match=r"no label was read; are these some: vasp_energy \(2 frames\), vasp_force"):
        list(Source(tmp_path / "a.extxyz").read())
    for frame, atoms in zip(read_frames(tmp_path / "a.extxyz", naming="vasp"), metals, strict=False):
        assert_labels(frame, atoms)


def test_frames_that_say_they_are_not_converged(tmp_path: Path, metals: list[Atoms]) -> None:
    frames = [named(atoms, "energy", "forces", "stress") for atoms in metals[:4]]
    for number, atoms in enumerate(frames):
        atoms.info["converged"] = number != 2
    write(tmp_path / "a.extxyz", frames)
    with pytest.warns(
        UserWarning, match=r"1 frames are left out, whose electronic steps did not converge \(--option unconv"
    ):
        kept = list(read_frames(tmp_path / "a.extxyz"))
    assert [frame.frame_id[-1] for frame in kept] == ["0", "1", "3"]
    assert len(list(read_frames(tmp_path / "a.extxyz", unconverged="yes"))) == 4


def test_virials_of_atoms_are_no_virial(tmp_path: Path, metals: list[Atoms]) -> None:
    atoms = named(metals[0], "energy", "forces", "stress")
    del atoms.info["stress"]
    atoms.arrays["virial"] = np.ones((len(atoms), 9))
    write(tmp_path / "a.extxyz", atoms)
    (frame,) = read_frames(tmp_path / "a.extxyz")
    assert not bool(is_known(frame, "stress"))


def test_other_formats_follow_the_same_rule(tmp_path: Path, metals: list[Atoms]) -> None:
    from ase.db import connect

    frames = [metals[0], metals[1].copy()]
    frames[1].info["REF_energy"] = -1.5
    write(tmp_path / "a.traj", frames)
    with connect(tmp_path / "a.db") as database:
        database.write(frames[0])
        database.write(frames[1], REF_energy=-1.5)
    for name in ("a.traj", "a.db"):
        with pytest.raises(LabelError, match=r"its labels are named REF_\*, and those of the frames before plainly"):
            list(read_frames(tmp_path / name))


def test_the_stress_of_a_virial_has_the_sign_of_a_tension(
    make_atoms: Callable[..., Atoms], to_frame: Callable[..., CrystalData], tmp_path: Path
) -> None:
    """A crystal that is pulled apart pulls back: the stress is positive, and the virial negative."""
    atoms = bare(make_atoms(0))
    atoms.info["energy"], atoms.info["virial"] = -1.0, -8.0 * np.eye(3)
    write(tmp_path / "a.extxyz", atoms)
    (frame,) = read_frames(tmp_path / "a.extxyz")
    expected = torch.eye(3, dtype=torch.float64) * 8 / atoms.get_volume()
    torch.testing.assert_close(frame.stress[0], expected)
