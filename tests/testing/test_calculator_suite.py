"""The calculator suite passes calculators of ASE, and finds out those that are broken."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

import pytest
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from broken_calculators import Wrapped
from running import run_one

from torch_gptff.testing import CalculatorConformance

pytest_plugins = ["pytester"]


class TestEMT(CalculatorConformance):
    elements: ClassVar[Collection[int]] = (13, 28, 29, 46, 47, 78, 79)

    @pytest.fixture
    def calculator(self) -> Calculator:
        return EMT()


class TestLennardJones(CalculatorConformance):
    @pytest.fixture
    def calculator(self) -> Calculator:
        return Wrapped()


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        ("StressInGPa", "test_stress_is_the_slope_of_the_energy_by_strain"),
        ("StressInAnotherOrder", "test_stress_is_the_slope_of_the_energy_by_strain"),
        ("ForcesOfTheWrongSign", "test_forces_are_minus_the_slope_of_the_energy"),
        ("IgnoresPBC", "test_periodic_directions_are_those_of_the_atoms"),
        ("EnergiesThatDoNotSum", "test_energies_sum_to_the_energy"),
        ("KeepsItsForces", "test_results_do_not_depend_on_what_was_calculated_before"),
        ("LooksAtPositionsAlone", "test_atoms_that_change_in_place_are_calculated_anew"),
        ("SharesItsForces", "test_atoms_and_earlier_results_are_left_as_they_were"),
        ("MovesTheAtoms", "test_atoms_and_earlier_results_are_left_as_they_were"),
    ],
)
def test_finds_out(pytester: pytest.Pytester, broken: str, test: str) -> None:
    source = f"""
        import pytest
        from broken_calculators import {broken}
        from torch_gptff.testing import CalculatorConformance

        class TestIt(CalculatorConformance):
            @pytest.fixture
            def calculator(self):
                return {broken}()
    """
    _, _, failed = run_one(pytester, source, test)
    assert len(failed) == 1
