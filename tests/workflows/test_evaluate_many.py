"""Many structures together: the numbers of each alone, whatever the calculator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT

from torch_gptff import GPTFF, GPTFFCalculator, GPTFFConfig, Potential
from torch_gptff.errors import GPTFFError
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows import EvaluatedStructure, evaluate_many


@pytest.fixture(scope="module")
def potential() -> Potential:
    torch.manual_seed(0)
    return Potential(GPTFF(GPTFFConfig(channels=8, num_layers=1, num_radial=4))).double()


@pytest.fixture(scope="module")
def structures() -> list[Atoms]:
    salts = [bulk("NaCl", "rocksalt", a=a) for a in (5.4, 5.6, 5.8)]
    salts[1].rattle(0.1, seed=1)
    return [*salts, molecule("H2O")]


def test_a_potential_gives_each_what_its_calculator_gives(potential: Potential, structures: list[Atoms]) -> None:
    calculator = GPTFFCalculator(potential, device="cpu")
    for given in (potential, calculator):
        for atoms, found in zip(structures, evaluate_many(structures, given), strict=True):
            alone = atoms.copy()
            alone.calc = calculator
            assert found.energy == pytest.approx(alone.get_potential_energy(), abs=1e-10)
            np.testing.assert_allclose(found.forces, alone.get_forces(), atol=1e-10)
            assert found.energies is not None
            assert found.energies.sum() == pytest.approx(found.energy)
            assert (found.stress is None) == (not atoms.pbc.any())
            if found.stress is not None:
                np.testing.assert_allclose(found.stress, alone.get_stress(voigt=False), atol=1e-10)
    assert all(atoms.calc is None for atoms in structures)


def test_any_other_calculator_is_asked_one_by_one() -> None:
    class Counting(Calculator):
        implemented_properties = ("energy",)
        asked: list[int]

        def calculate(self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = ()) -> None:
            self.asked.append(len(atoms))
            self.results = {"energy": float(len(atoms))}

    calculator = Counting()
    calculator.asked = []
    coppers = [bulk("Cu").repeat((n, 1, 1)) for n in (1, 2, 3)]
    done: list[tuple[int, int]] = []
    found = evaluate_many(
        coppers, calculator, forces=False, stress=False, on_done=lambda number, total: done.append((number, total))
    )
    assert [each.energy for each in found] == [1.0, 2.0, 3.0]
    assert calculator.asked == [1, 2, 3]
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert all(each.forces is None and each.stress is None for each in found)


def test_forces_are_those_without_constraints() -> None:
    from ase.constraints import FixAtoms

    copper = bulk("Cu", cubic=True)
    copper.rattle(0.1, seed=1)
    free = copper.copy()
    copper.set_constraint(FixAtoms([0]))
    (found,) = evaluate_many([copper], EMT())
    free.calc = EMT()
    np.testing.assert_allclose(found.forces, free.get_forces())
    np.testing.assert_allclose(found.stress, free.get_stress(voigt=False))
    assert found.max_force == pytest.approx(np.linalg.norm(free.get_forces(), axis=1).max())
    assert found.pressure == pytest.approx(-np.trace(free.get_stress(voigt=False)) / 3 * GPA_PER_EV_PER_ANGSTROM3)


def test_records_and_what_is_not_finite(potential: Potential, structures: list[Atoms]) -> None:
    (found,) = evaluate_many(structures[:1], potential)
    assert EvaluatedStructure.from_dict(found.to_dict()).to_dict() == found.to_dict()
    assert found.is_finite
    assert not EvaluatedStructure(structures[0], float("nan")).is_finite
    assert not EvaluatedStructure(structures[0], 1.0, np.full((2, 3), np.inf)).is_finite
    assert evaluate_many([], potential) == []
    with pytest.raises(GPTFFError, match="nothing gives energies"):
        evaluate_many(structures, None)
