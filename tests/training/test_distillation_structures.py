"""Strains, substitutions and teachers."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.data import covalent_radii
from ase.io import write

from torch_gptff import GPTFF, GPTFFConfig, Potential, save
from torch_gptff.datasets import LMDBCrystalDataset, Source
from torch_gptff.errors import CheckpointError, DistillationError
from torch_gptff.training.distillation import make_teacher, read_seeds
from torch_gptff.training.distillation.deformations import (
    NEIGHBOURS,
    collided,
    deformed,
    rattled,
    repeated,
    rescaled,
    strained,
)
from torch_gptff.training.distillation.dynamics import repeats
from torch_gptff.training.distillation.limits import are_too_close
from torch_gptff.training.distillation.substitution import near_elements, substituted
from torch_gptff.training.distillation.teachers import Labels, require_a_minimum_of_magnesia


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_a_strain_keeps_fractional_coordinates():
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    copy = strained(atoms, 0.03, rng())
    np.testing.assert_allclose(copy.get_scaled_positions(), atoms.get_scaled_positions(), atol=1e-12)
    gradient = np.linalg.solve(atoms.cell.array, copy.cell.array)
    np.testing.assert_allclose(gradient, gradient.T, atol=1e-12)  # no rotation
    assert 0.001 < np.abs(gradient - np.eye(3)).max() < 0.12


def test_strains_have_the_deviation_asked_for():
    generator = rng()
    gradients = [np.linalg.solve(np.eye(3), strained(Atoms("Cu", cell=np.eye(3), pbc=True), 0.02, generator).cell.array)
                 for _ in range(500)]  # fmt: skip
    np.testing.assert_allclose(np.std(gradients, axis=0), 0.02, rtol=0.1)


def test_a_slab_is_strained_in_its_plane():
    slab = fcc111("Cu", (1, 1, 3), vacuum=6.0)
    slab.rotate(30, "x", rotate_cell=True)
    copy = strained(slab, 0.05, rng())
    normal = np.cross(slab.cell[0], slab.cell[1])
    normal /= np.linalg.norm(normal)
    np.testing.assert_allclose(copy.positions @ normal, slab.positions @ normal, atol=1e-10)
    assert np.abs(copy.cell.array[:2] - slab.cell.array[:2]).max() > 0.01
    lone = molecule("H2O")
    np.testing.assert_array_equal(deformed(lone, 0.1 * np.ones((3, 3))).positions, lone.positions)


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_a_volume_is_rescaled(factor):
    assert rescaled(bulk("Cu"), factor).get_volume() == pytest.approx(factor * bulk("Cu").get_volume())
    slab = fcc111("Cu", (1, 1, 3), vacuum=6.0)
    area = np.linalg.norm(np.cross(*rescaled(slab, factor).cell[:2]))
    assert area == pytest.approx(factor * np.linalg.norm(np.cross(*slab.cell[:2])))


def test_two_neighbours_collide_and_the_others_stay():
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    generator = rng()
    fractions, pairs = [], set()
    for _ in range(60):
        copy = collided(atoms, (0.5, 0.7), generator)
        moves = copy.positions - atoms.positions
        first, second = np.flatnonzero(np.abs(moves).sum(1) > 1e-9)
        np.testing.assert_allclose(moves[first], -moves[second], atol=1e-12)  # their centre stays where it was
        touching = covalent_radii[atoms.numbers[[first, second]]].sum()
        assert atoms.get_distance(first, second, mic=True) < NEIGHBOURS * touching
        fractions.append(copy.get_distance(first, second, mic=True) / touching)
        pairs.add(tuple(sorted(atoms.numbers[[first, second]].tolist())))
    assert 0.5 <= min(fractions) < 0.52
    assert 0.68 < max(fractions) <= 0.7
    assert pairs == {(11, 11), (11, 17)}  # chlorine ions are farther from each other than 1.6 times their bond


def test_what_has_no_neighbour_collides_with_nothing():
    assert collided(bulk("Cu"), (0.5, 0.7), rng()) is None  # its neighbours are images of itself
    assert collided(Atoms("Cu2", positions=[[0, 0, 0], [5, 0, 0]]), (0.5, 0.7), rng()) is None


def test_displacements_have_the_deviation_asked_for():
    atoms = bulk("Cu", cubic=True) * 5
    moved = rattled(atoms, 0.1, rng()).positions - atoms.positions
    assert moved.std() == pytest.approx(0.1, rel=0.05)


def test_small_cells_are_repeated():
    assert len(repeated(bulk("Cu"), 4)) == 4
    assert len(repeated(bulk("Cu", cubic=True), 4)) == 4
    assert len(repeated(Atoms("H", cell=[5, 5, 5]), 4)) == 1
    assert repeats(bulk("Cu", cubic=True), 7.0) == (2, 2, 2)
    assert repeats(fcc111("Cu", (1, 1, 3), vacuum=6.0), 5.0)[2] == 1
    assert repeats(molecule("H2O"), 7.0) == (1, 1, 1)


def test_near_elements_are_those_that_replace_each_other():
    def symbols(number: int) -> set[str]:
        return {Atoms([z]).get_chemical_formula() for z in near_elements(number)}

    assert {"Ag", "Au"} <= symbols(29)
    assert {"K", "Li"} <= symbols(11)
    assert {"Se", "Te"} <= symbols(16)
    assert "H" not in symbols(9)  # beside each other in the row, and of other blocks
    assert "Cu" not in symbols(29)


def test_a_substitution_keeps_the_structure_and_fits_the_volume():
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    copy = substituted(atoms, ["K"], rng())
    assert sorted(copy.symbols) == ["Cl", "K"]
    np.testing.assert_allclose(copy.get_scaled_positions(), atoms.get_scaled_positions(), atol=1e-12)
    assert copy.get_volume() / atoms.get_volume() == pytest.approx((2.03**3 + 1.02**3) / (1.66**3 + 1.02**3))
    assert substituted(atoms, ["Fe"], rng()) is None
    assert sorted(atoms.symbols) == ["Cl", "Na"]


def test_closeness_counts_images():
    assert not are_too_close(bulk("Cu"), 0.62)
    assert are_too_close(bulk("Cu", a=2.2), 0.62)
    assert are_too_close(Atoms("H", cell=[0.3, 9, 9], pbc=True), 0.62)
    assert not are_too_close(Atoms("H", cell=[0.3, 9, 9], pbc=False), 0.62)


# -- seeds


def test_seeds_from_files_and_datasets(tmp_path: Path):
    write(tmp_path / "md.extxyz", [bulk("Cu"), bulk("Al"), bulk("Ni")])
    atoms = bulk("Ag")
    atoms.calc = EMT()
    atoms.get_forces()
    write(tmp_path / "silver.extxyz", atoms)
    LMDBCrystalDataset(tmp_path / "stored", [Source(tmp_path / "silver.extxyz")], log=False)
    seeds = read_seeds([f"{tmp_path}/md.extxyz@1:", tmp_path / "stored"])
    assert [str(seed.atoms.symbols) for seed in seeds] == ["Al", "Ni", "Ag"]
    assert [seed.name for seed in seeds] == ["md.extxyz@1", "md.extxyz@2", "silver.extxyz@0"]
    assert seeds[-1].atoms.calc is None


# -- teachers


def test_teachers_by_name_and_by_import_path():
    assert isinstance(make_teacher("emt").calculator, EMT)
    assert make_teacher("lj", {"sigma": 2.0}).calculator.parameters.sigma == 2.0
    teacher = make_teacher("ase.calculators.lj:LennardJones", {"epsilon": 0.5})
    assert isinstance(teacher.calculator, LennardJones)
    assert teacher.name == "LennardJones"


def test_our_own_models_label_in_batches(tmp_path: Path):
    potential = Potential(GPTFF(GPTFFConfig(channels=4, num_layers=1, max_z=30)))
    save(potential, tmp_path / "big.safetensors")
    teacher = make_teacher(str(tmp_path / "big.safetensors"), device="cpu")
    assert teacher.name == "big"
    structures = [bulk("Cu", cubic=True), molecule("H2O"), bulk("Ag")]
    structures[0].rattle(0.1)
    found = teacher.label_all(structures)
    for atoms, labels in zip(structures[:2], found, strict=False):
        alone = teacher.label(atoms)
        assert isinstance(labels, Labels)
        assert labels.energy == pytest.approx(alone.energy, abs=1e-5)
        np.testing.assert_allclose(labels.forces, alone.forces, atol=1e-5)
    assert found[1].stress is None
    assert "UnsupportedElementError" in found[2]
    assert [type(labels) for labels in teacher.label_all(structures[:2])] == [Labels, Labels]


@pytest.mark.parametrize(
    ("spec", "arguments", "message"),
    [
        ("no.such.module:Name", {}, "the teacher no.such.module:Name cannot be imported"),
        ("ase.calculators.emt:Absent", {}, "cannot be made of .* no attribute"),
        ("lj", {"sigma": 1.0, "nonsense": {}, "label": 3}, "cannot be made|unknown|nonsense"),
        ("chgnet", {}, "cannot be imported .*install its package"),
        ("matgl:folder", {}, "cannot be imported .*install its package"),
        (f"nequix:{__file__}", {}, "cannot be imported .*install its package"),
        ("nequix:absent.pt", {}, r"no file absent\.pt with a potential of nequix"),
    ],
)
def test_teachers_that_cannot_be_made(spec, arguments, message, monkeypatch):
    for absent in ("chgnet.model.dynamics", "matgl", "nequix.torch_impl.model"):
        monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(DistillationError, match=message):
        make_teacher(spec, arguments)


def test_a_name_that_is_nothing():
    with pytest.raises(CheckpointError, match="no model 'absent'"):
        make_teacher("absent")


def test_labels_that_are_no_numbers():
    class Broken(LennardJones):
        def calculate(self, *arguments, **keywords):
            super().calculate(*arguments, **keywords)
            self.results["energy"] = np.nan

    teacher = SimpleNamespace(calculator=Broken(), name="broken")
    from torch_gptff.training.distillation import Teacher

    assert Teacher("broken", teacher.calculator).label(bulk("Cu")) == "the teacher's labels are no finite numbers"


def test_a_potential_without_a_minimum_of_magnesia_is_refused():
    class Curve(LennardJones):
        def __init__(self, best):
            super().__init__()
            self.best = best

        def calculate(self, atoms, properties, changes):
            edge = (4 * atoms.get_volume()) ** (1 / 3)
            self.results = {"energy": (edge - self.best) ** 2}

    require_a_minimum_of_magnesia(Curve(4.25), "good")
    with pytest.raises(DistillationError, match=r"bad has no minimum of MgO near 4.25 Å .*install the version"):
        require_a_minimum_of_magnesia(Curve(3.5), "bad")
