"""The conformance suite passes a model that is as it should be, and finds out every one that is not."""

from __future__ import annotations

from collections.abc import Sequence

import analytic_models
import pytest
from analytic_models import PairsAndAngles
from running import run_one

from torch_gptff.potential import Potential
from torch_gptff.testing import EnergyModelConformance

pytest_plugins = ["pytester"]

FORCES = "test_forces_are_minus_the_slope_of_the_energy"
STRESS = "test_stress_is_the_slope_of_the_energy_by_strain"

FOUND_OUT_BY = {
    "ForcesNotOfTheEnergy": f"{FORCES}[bent_molecule]",
    "StressOfTheWrongSign": f"{STRESS}[one_atom_cell]",
    "StressOfASignedVolume": f"{STRESS}[left_handed_cell]",
    "ForcesCutOff": "test_a_loss_of_forces_and_stress_is_differentiable_by_parameters",
    "JumpAtTheCutoff": "test_is_smooth",
    "KinkAtTheCutoff": "test_is_smooth",
    "JumpAtTheAngleCutoff": "test_is_smooth",
    "SmoothButDeniesIt": "test_is_smooth",
    "SeesThePosition": "test_translation",
    "SeesTheAxes": "test_rotation[qr]",
    "SeesHandedness": "test_reflection[qr]",
    "SeesTheOrderOfAtoms": "test_permutation",
    "SeesTheOrderOfBonds": "test_the_order_of_bonds_and_angles_is_free",
    "IgnoresImages": "test_is_extensive",
    "Pooled": "test_is_extensive",
    "ExtensiveButDeniesIt": "test_is_extensive",
    "ActsAtADistance": "test_is_local",
    "LocalButDeniesIt": "test_is_local",
    "SeesTheBatch": "test_a_batch_is_its_structures_one_by_one",
    "ChangesItsInput": "test_repeatable_and_leaves_the_input_as_it_was[slab]",
    "AddsToItsInput": "test_repeatable_and_leaves_the_input_as_it_was[slab]",
    "Remembers": "test_repeatable_and_leaves_the_input_as_it_was[slab]",
    "HasADeadParameter": "test_every_parameter_has_a_part_in_the_result",
    "LosesDigits": "test_float32",
    "TakesAnyElement": "test_elements_without_parameters_are_refused",
}


class TestPairsAndAngles(EnergyModelConformance):
    @pytest.fixture
    def potential(self) -> Potential:
        return Potential(PairsAndAngles()).eval()


@pytest.mark.parametrize("name", FOUND_OUT_BY)
def test_finds_out(pytester: pytest.Pytester, name: str) -> None:
    _, _, failed = run(pytester, name, FOUND_OUT_BY[name])
    assert len(failed) == 1


@pytest.mark.parametrize("test", [f"{STRESS}[rattled_crystal]", f"{FORCES}[left_handed_cell]"])
def test_a_fault_is_found_only_where_it_is(pytester: pytest.Pytester, test: str) -> None:
    passed, _, _ = run(pytester, "StressOfASignedVolume", test)
    assert len(passed) == 1


def test_a_declared_lack_is_an_expected_failure_with_its_reason(pytester: pytest.Pytester) -> None:
    passed, skipped, failed = run(pytester, "JumpsAndSaysSo", "test_is_smooth")
    assert (len(passed), len(failed)) == (0, 0)
    assert skipped[0].wasxfail == "JumpsAndSaysSo declares is_smooth = False"


def test_a_property_denied_but_present_is_an_error(pytester: pytest.Pytester) -> None:
    _, _, failed = run(pytester, "SmoothButDeniesIt", "test_is_smooth")
    assert "XPASS(strict)" in str(failed[0].longrepr)


def run(pytester: pytest.Pytester, name: str, test: str) -> tuple[Sequence, Sequence, Sequence]:
    """Run one test of the suite on a model or potential of :mod:`analytic_models`."""
    described = getattr(analytic_models, name)
    build = f"{name}(PairsAndAngles())" if issubclass(described, Potential) else f"Potential({name}())"
    source = f"""
        import pytest
        from analytic_models import {name}, PairsAndAngles
        from torch_gptff.potential import Potential
        from torch_gptff.testing import EnergyModelConformance

        class TestIt(EnergyModelConformance):
            @pytest.fixture
            def potential(self):
                return {build}.eval()
    """
    return run_one(pytester, source, test)
