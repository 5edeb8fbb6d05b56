"""The conformance suite of ASE calculators."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.stress import full_3x3_to_voigt_6_stress

from torch_gptff.testing.common import assert_close, has_volume
from torch_gptff.testing.oracles import numerical_forces, numerical_stress
from torch_gptff.testing.structures import STRUCTURES, with_elements


class CalculatorConformance:
    """Requirements of an ASE calculator, as pytest tests that any calculator inherits::

        class TestMyCalculator(CalculatorConformance):
            @pytest.fixture
            def calculator(self):
                return MyCalculator()

    Attributes:
        elements: atomic numbers the calculator knows
        names: which of :data:`~torch_gptff.testing.STRUCTURES` it is tested on
        finite_difference: how far forces (eV/Å) and stress (eV/Å³) may be from a central difference, and relative to
            the largest
        rounding: how far results that are equal in exact arithmetic may differ, and relative to the largest
    """

    elements: ClassVar[Collection[int]] = range(1, 95)
    names: ClassVar[Sequence[str]] = (
        "rattled_crystal",
        "one_atom_cell",
        "linear_molecule",
        "slab",
        "wire",
        "skewed_cell",
        "left_handed_cell",
    )
    finite_difference: ClassVar[float] = 1e-6
    rounding: ClassVar[float] = 1e-10

    @pytest.fixture
    def calculator(self) -> Calculator:
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `calculator`")

    @pytest.fixture
    def structures(self) -> dict[str, Atoms]:
        return {name: with_elements(STRUCTURES[name](), self.elements) for name in self.names}

    @pytest.fixture
    def crystal(self) -> Atoms:
        return with_elements(STRUCTURES["rattled_crystal"](), self.elements)

    def test_forces_are_minus_the_slope_of_the_energy(
        self, calculator: Calculator, structures: dict[str, Atoms]
    ) -> None:
        def energies(several: Sequence[Atoms]) -> np.ndarray:
            return np.array([results(calculator, atoms, "free_energy")["free_energy"] for atoms in several])

        for name, atoms in structures.items():
            forces = results(calculator, atoms, "forces")["forces"]
            assert_close(forces, numerical_forces(energies, atoms), self.finite_difference, f"{name}: forces")

    def test_stress_is_the_slope_of_the_energy_by_strain(
        self, calculator: Calculator, structures: dict[str, Atoms]
    ) -> None:
        """In eV/Å³, positive when the crystal pulls, in Voigt's order xx, yy, zz, yz, xz, xy."""

        def energies(several: Sequence[Atoms]) -> np.ndarray:
            return np.array([results(calculator, atoms, "free_energy")["free_energy"] for atoms in several])

        for name, atoms in structures.items():
            if has_volume(atoms):
                stress = results(calculator, atoms, "stress")["stress"]
                expected = full_3x3_to_voigt_6_stress(numerical_stress(energies, atoms))
                assert_close(stress, expected, self.finite_difference, f"{name}: stress")

    def test_energies_sum_to_the_energy(self, calculator: Calculator, structures: dict[str, Atoms]) -> None:
        if "energies" not in calculator.implemented_properties:
            pytest.skip("the calculator has no atomic energies")
        for name, atoms in structures.items():
            found = results(calculator, atoms, "energy", "energies")
            assert found["energies"].shape == (len(atoms),)
            assert_close(found["energies"].sum(), found["energy"], self.rounding, f"{name}: sum of energies")

    def test_periodic_directions_are_those_of_the_atoms(self, calculator: Calculator, crystal: Atoms) -> None:
        """Along an open direction nothing is repeated, whatever the cell is."""
        energy = {}
        for pbc in ((True, True, True), (True, True, False), (False, False, False)):
            crystal.pbc = pbc
            energy[pbc] = results(calculator, crystal, "energy")["energy"]
        assert len(set(energy.values())) == 3, f"the energy does not depend on pbc: {energy}"

        layer = crystal.copy()
        layer.pbc = (True, True, False)
        wide = layer.copy()
        wide.pbc = True
        wide.set_cell(layer.cell.array * np.array([[1], [1], [20]]), scale_atoms=False)
        same(calculator, layer, wide, self.rounding, "a layer, and layers far apart")
        cluster = crystal.copy()
        cluster.pbc = False
        bare = cluster.copy()
        bare.set_cell(np.zeros((3, 3)))
        same(calculator, cluster, bare, self.rounding, "a cluster with a cell, and without")

    def test_results_do_not_depend_on_what_was_calculated_before(
        self, calculator: Calculator, crystal: Atoms, structures: dict[str, Atoms]
    ) -> None:
        """Each step of a trajectory that moves atoms, cell, boundaries and elements: as if it were the first."""
        in_a_row = [results(calculator, atoms, "energy", "forces") for atoms in _changes(crystal)]
        afresh = self._afresh(calculator, crystal, structures)
        for number, (one, other) in enumerate(zip(in_a_row, afresh, strict=True)):
            for quantity, value in one.items():
                assert_close(value, other[quantity], self.rounding, f"step {number}: {quantity}")

    def test_atoms_that_change_in_place_are_calculated_anew(
        self, calculator: Calculator, crystal: Atoms, structures: dict[str, Atoms]
    ) -> None:
        afresh = self._afresh(calculator, crystal, structures)
        atoms = crystal.copy()
        atoms.calc = calculator
        for number, (changed, wanted) in enumerate(zip(_changes(crystal), afresh, strict=True)):
            atoms.positions, atoms.numbers, atoms.pbc = changed.positions, changed.numbers, changed.pbc
            atoms.set_cell(changed.cell)
            assert_close(atoms.get_potential_energy(), wanted["energy"], self.rounding, f"change {number}: energy")
            assert_close(atoms.get_forces(), wanted["forces"], self.rounding, f"change {number}: forces")

    def _afresh(self, calculator: Calculator, crystal: Atoms, structures: dict[str, Atoms]) -> list[dict[str, Any]]:
        """The results of every change of a crystal, with another structure calculated before each."""
        other = structures[self.names[-1]]
        found = []
        for atoms in _changes(crystal):
            results(calculator, other, "energy", "forces")
            found.append(results(calculator, atoms, "energy", "forces"))
        return found

    def test_atoms_and_earlier_results_are_left_as_they_were(
        self, calculator: Calculator, structures: dict[str, Atoms]
    ) -> None:
        first, second = list(structures.values())[:2]
        before = first.copy()
        forces = calculator.get_property("forces", first)
        kept = forces.copy()
        calculator.get_property("forces", second)
        assert first == before, "the atoms were changed"
        assert set(first.arrays) == set(before.arrays), "an array was added to the atoms or removed"
        assert np.array_equal(forces, kept), "a later calculation changed forces that were given out"


def results(calculator: Calculator, atoms: Atoms, *quantities: str) -> dict[str, Any]:
    """Results of the calculator for a copy of the atoms."""
    copy = atoms.copy()
    copy.calc = calculator
    return {quantity: calculator.get_property(quantity, copy) for quantity in quantities}


def same(calculator: Calculator, one: Atoms, other: Atoms, tolerance: float, what: str) -> None:
    first, second = (results(calculator, atoms, "energy", "forces") for atoms in (one, other))
    for quantity, value in first.items():
        assert_close(second[quantity], value, tolerance, f"{what}: {quantity}")


def _changes(atoms: Atoms) -> list[Atoms]:
    """The structure, and what becomes of it by small steps, large steps and changes of everything else."""
    steps = [atoms.copy()]

    def step() -> Atoms:
        steps.append(steps[-1].copy())
        return steps[-1]

    for seed in range(4):
        step().rattle(0.05, seed=seed)
    last = step()
    last.set_cell(last.cell.array * 1.01, scale_atoms=True)
    last = step()
    last.positions[0] += [0.6, -0.4, 0.3]
    last = step()
    last.pbc = (True, True, False)
    last = step()
    last.numbers = last.numbers[::-1]
    last = step()
    last.set_cell(1.02 * last.cell.array, scale_atoms=False)
    last = step()
    last.set_cell(last.cell.array * 0.9, scale_atoms=True)
    return steps
