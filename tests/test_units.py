"""Units and signs of energy and stress."""

from __future__ import annotations

import numpy as np
import pytest

from torch_gptff.units import VASP_ORDER, UnitConvention

TENSOR = np.array([[1.0, 4.0, 5.0], [4.0, 2.0, 6.0], [5.0, 6.0, 3.0]])


def test_orders_of_six_components() -> None:
    voigt = UnitConvention().stress_tensor([1, 2, 3, 6, 5, 4], 1.0)
    vasp = UnitConvention(stress_order=VASP_ORDER).stress_tensor([1, 2, 3, 4, 6, 5], 1.0)
    for tensor in (voigt, vasp, UnitConvention().stress_tensor(TENSOR.ravel(), 1.0)):
        np.testing.assert_array_equal(tensor, TENSOR)


def test_units_and_signs_agree_about_one_stress() -> None:
    """A stress of 1602.1766208 kbar by VASP is a pressure of 160.2 GPa, and a virial of V eV."""
    volume = 20.0
    one = [
        UnitConvention(stress_unit="kbar", positive="compression").stress_tensor(1602.1766208 * np.eye(3), volume),
        UnitConvention(stress_unit="GPa").stress_tensor(-160.21766208 * np.eye(3), volume),
        UnitConvention(stress_unit="eV", positive="compression").stress_tensor(volume * np.eye(3), volume),
    ]
    for tensor in one:
        np.testing.assert_allclose(tensor, -np.eye(3), rtol=1e-12)


def test_energy_per_atom_becomes_that_of_the_cell() -> None:
    assert UnitConvention(energy="per atom").total_energy(-3.0, 4) == -12.0
    assert UnitConvention().total_energy(-3.0, 4) == -3.0


@pytest.mark.parametrize("shape", [(5,), (3,), (2, 3), ()])
def test_other_shapes_of_stress_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="components"):
        UnitConvention().stress_tensor(np.zeros(shape), 1.0)


def test_six_components_are_refused_where_their_order_is_not_known() -> None:
    with pytest.raises(ValueError, match="9 or 3x3"):
        UnitConvention(stress_order=None).stress_tensor(np.zeros(6), 1.0)
