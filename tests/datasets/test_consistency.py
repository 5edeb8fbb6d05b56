"""Units and signs that were taken for others, found from the work that forces and stresses do."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from torch_gptff.datasets import check_work, dataset_statistics, read_frames
from torch_gptff.graph import CrystalData


@pytest.fixture
def steps(emt_labelled: Callable[[Atoms], Atoms], to_frame: Callable[..., CrystalData]) -> list[CrystalData]:
    """Sixty small random steps of a copper crystal, of its atoms and its cell."""
    rng = np.random.default_rng(1)
    atoms = bulk("Cu", cubic=True)
    frames = []
    for _ in range(60):
        atoms = atoms.copy()
        atoms.set_cell(atoms.cell @ (np.eye(3) + rng.normal(scale=0.01, size=(3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(scale=0.03, size=(4, 3)) + rng.normal(scale=3, size=3)
        atoms.wrap()
        frames.append(to_frame(emt_labelled(atoms)))
    return frames


def test_labels_that_belong_together(steps: list[CrystalData]) -> None:
    """Atoms that were wrapped into the cell, or drifted with all others, do not matter."""
    (check,) = check_work(steps)
    assert check.n_pairs == 59
    assert check.forces == pytest.approx(1, abs=0.05)
    assert check.stress == pytest.approx(1, abs=0.05)
    assert check.suspicions() == []


@pytest.mark.parametrize(
    ("label", "factor", "told"),
    [
        ("forces", 1 / 51.422, r"multiplied by 5\d\.\d.*: are the forces in Hartree/Bohr\?"),
        ("forces", -1.0, r"multiplied by -.*: are the forces of the opposite sign\?"),
        ("forces", 23.06, r"are the forces in kcal/mol/Å\?"),
        ("stress", -1.0, r"are the stresses of the opposite sign\?"),
        ("stress", 160.2, r"are the stresses in GPa\?"),
        ("stress", -1602.0, r"are the stresses in kbar and of the opposite sign\?"),
        ("stress", 5.0, r"check their unit, and the energies'"),
    ],
)
def test_wrong_units_are_told(steps: list[CrystalData], label: str, factor: float, told: str) -> None:
    for frame in steps:
        frame[label] = frame[label] * factor
    (check,) = check_work(steps)
    (suspicion,) = check.suspicions()
    import re

    assert re.search(told, suspicion)


def test_each_source_by_itself(steps: list[CrystalData]) -> None:
    for frame in steps[30:]:
        frame.source = "other"
        frame.forces = -frame.forces
    one, other = check_work(steps)
    assert one.suspicions() == []
    assert "opposite sign" in other.suspicions()[0]


def test_what_cannot_be_told_is_not_told(steps: list[CrystalData], frames: list[CrystalData]) -> None:
    assert check_work(frames[:1]) == []
    assert all(check.forces is None for check in check_work(steps[:5]))
    for frame in steps:
        frame.stress = frame.stress * float("nan")
    (check,) = check_work(steps)
    assert check.stress is None
    assert check.suspicions() == []


def test_energies_per_atom_are_told(make_atoms: Callable[..., Atoms], to_frame: Callable[..., CrystalData]) -> None:
    frames = []
    for seed in range(40):
        atoms = bulk("Cu", cubic=True) * (1 + seed % 3, 1, 1)
        atoms.rattle(0.02, seed=seed)
        from ase.calculators.emt import EMT

        atoms.calc = EMT()
        energy = atoms.get_potential_energy() - 3.5 * len(atoms)
        atoms.calc = type("Results", (), {"results": {"energy": energy}})()
        frames.append(to_frame(atoms))
    assert dataset_statistics(frames).suspicions == ()
    for frame in frames[:20]:
        frame.energy = frame.energy / len(frame.z)
    (mixed,) = dataset_statistics(frames).suspicions
    assert "energies do not grow with the number of atoms: are they per atom?" in mixed
    for frame in frames[20:]:
        frame.energy = frame.energy / len(frame.z)
    (all_of_them,) = dataset_statistics(frames).suspicions
    assert all_of_them.startswith("emt: 26 of 40 energies")


def test_real_data_look_right(shared_data: Path) -> None:
    folder = shared_data / "data"
    mo = list(check_work(read_frames(folder / "mlearn/Mo")))
    zr = list(check_work(islice(read_frames(folder / "saidi_elements/Zr_org0c5.tar.gz", type_map=["Zr"]), 140)))
    for (check,) in (mo, zr):
        assert check.forces == pytest.approx(1, abs=0.1)
        assert check.suspicions() == []
    assert mo[0].stress == pytest.approx(1, abs=0.05)


@pytest.fixture(scope="module")
def rattled_copper() -> Callable[[int, float, float], list[CrystalData]]:
    """Independent strained and rattled cells of one crystal, whose errors all point one way."""
    from ase.calculators.emt import EMT

    from torch_gptff.datasets.readers.ase_atoms import LabelKeys, frame_of_atoms
    from torch_gptff.units import UnitConvention

    def make(seed: int, rattle: float, strain: float) -> list[CrystalData]:
        rng = np.random.default_rng(seed)
        frames = []
        for _ in range(20):
            atoms = bulk("Cu", cubic=True)
            atoms.set_cell(atoms.cell * (1 + rng.normal(0, strain)), scale_atoms=True)
            atoms.positions += rng.normal(0, rattle, atoms.positions.shape)
            atoms.calc = EMT()
            for compute in (atoms.get_potential_energy, atoms.get_forces, atoms.get_stress):
                compute()
            frames.append(frame_of_atoms(atoms, LabelKeys(), UnitConvention(), where="x", source="s", frame_id="x"))
        return frames

    return make


@pytest.mark.parametrize(("rattle", "strain"), [(0.12, 0.01), (0.08, 0.01), (0.12, 0.04), (0.05, 0.02)])
def test_correct_labels_give_no_alarm(rattled_copper: Callable, rattle: float, strain: float) -> None:
    for seed in range(4):
        (check,) = check_work(rattled_copper(seed, rattle, strain))
        assert check.suspicions() == []


def test_wrong_units_are_still_found_among_rattled_cells(rattled_copper: Callable) -> None:
    frames = rattled_copper(0, 0.05, 0.02)
    for frame in frames:
        frame.forces = frame.forces / 51.422
    (suspicion,) = check_work(frames)[0].suspicions()
    assert "are the forces in Hartree/Bohr?" in suspicion
    assert " ± " in suspicion


def test_a_stretched_bond_is_no_energy_per_atom(to_frame: Callable[..., CrystalData]) -> None:
    """Half the energy of a dimer at twice its length."""
    frames = []
    for number in range(40):
        atoms = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.2 + 0.05 * number]])
        energy = -4.0 * (0.4 + 0.6 * np.exp(-0.1 * number))
        atoms.calc = type("Results", (), {"results": {"energy": energy}})()
        frames.append(to_frame(atoms))
    assert dataset_statistics(frames).suspicions == ()
    assert dataset_statistics(frames[:3]).suspicions == ()
