"""A teacher that the package nequix reads, in whose place stands a pair potential with the same interface."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.lj import LennardJones

from torch_gptff.errors import DistillationError
from torch_gptff.training.distillation.nequix import NequixCalculator
from torch_gptff.training.distillation.teachers import Labels, Teacher, make_teacher

CUTOFF, SIGMA = 6.0, 2.3


class PairModel(torch.nn.Module):
    """Lennard-Jones as ASE has it, half of a bond's energy to its receiver, and an energy of every element."""

    def node_energies(self, displacements, species, senders, receivers):
        def pair(r):
            return 4 * ((SIGMA / r) ** 12 - (SIGMA / r) ** 6)

        r = displacements.norm(dim=-1)
        energies = torch.zeros(len(species)).index_add(0, receivers, (pair(r) - pair(CUTOFF)) / 2)
        return (energies - 2.0 * species).unsqueeze(-1)


@pytest.fixture
def file(tmp_path, monkeypatch):
    def load_model(path, use_kernel):
        with open(path, "rb") as content:
            if content.read() != b"weights":
                raise RuntimeError("no weights")
        return PairModel(), {"cutoff": CUTOFF, "atomic_numbers": [8, 12, 18, 29]}

    for name in ("nequix", "nequix.torch_impl", "nequix.torch_impl.model"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["nequix.torch_impl.model"].load_model = load_model
    path = tmp_path / "pair.pt"
    path.write_bytes(b"weights")
    return path


def structures() -> list[Atoms]:
    copper, water = bulk("Cu", cubic=True), molecule("O2")
    copper.rattle(0.1)
    mixed = Atoms("ArCu", [[0, 0, 0], [2.6, 0.1, 0]], cell=[[7, 0, 0], [1, 6, 0], [0, 0.5, 8]], pbc=True)
    return [copper, water, mixed]


def test_energies_forces_and_stresses_are_those_of_the_model(file):
    for atoms in structures():
        atoms.calc = NequixCalculator(file)
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        of_elements = -2.0 * sum([8, 12, 18, 29].index(number) for number in atoms.numbers)
        stress = atoms.get_stress() if atoms.cell.rank == 3 else None
        atoms.calc = LennardJones(sigma=SIGMA, epsilon=1.0, rc=CUTOFF)
        assert energy == pytest.approx(atoms.get_potential_energy() + of_elements, rel=1e-6)
        np.testing.assert_allclose(forces, atoms.get_forces(), rtol=1e-5, atol=1e-4)
        if stress is not None:
            np.testing.assert_allclose(stress, atoms.get_stress(), rtol=1e-5, atol=1e-5)


def test_many_structures_are_labelled_in_batches_as_one_by_one(file):
    calculator = NequixCalculator(file, max_bonds=300)
    teacher = Teacher("pair", calculator)
    calls = []
    whole = calculator._evaluated
    calculator._evaluated = lambda batch: calls.append(batch.num_graphs) or whole(batch)
    many = structures() * 2
    found = teacher.label_all(many)
    assert calls == [1, 2, 1, 2], "copper has 344 bonds"
    for atoms, labels in zip(many, found, strict=True):
        alone = teacher.label(atoms)
        assert isinstance(labels, Labels)
        assert labels.energy == pytest.approx(alone.energy, abs=1e-5)
        np.testing.assert_allclose(labels.forces, alone.forces, atol=1e-5)
        assert (labels.stress is None) == (alone.stress is None)


def test_what_it_does_not_know_is_told_one_by_one(file):
    found = Teacher("pair", NequixCalculator(file)).label_all([bulk("Cu"), bulk("Ag")])
    assert isinstance(found[0], Labels)
    assert "UnsupportedElementError" in found[1]


def test_a_file_that_is_no_model_or_gives_nonsense_is_refused(file):
    with pytest.raises(DistillationError, match=r"pair\.pt as the installed nequix reads it has no minimum of MgO"):
        make_teacher(f"nequix:{file}")
    file.write_bytes(b"anything")
    with pytest.raises(DistillationError, match="is not a model of nequix for PyTorch, or damaged"):
        make_teacher(f"nequix:{file}")
