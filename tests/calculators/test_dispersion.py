"""Dispersion: values of the library's authors, of another implementation, and finite differences."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, graphene, molecule
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress

from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.calculators import GPTFFCalculator, with_dispersion
from torch_gptff.errors import DispersionError
from torch_gptff.workflows import relax


class Zero(EMT):
    """A calculator of nothing, so that dispersion is alone."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=()) -> None:
        self.atoms = atoms.copy()
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}


def graphite(c: float = 6.7) -> Atoms:
    """Two layers in the order of graphite."""
    below = graphene(a=2.46, vacuum=0.0)
    above = below.copy()
    above.positions += below.positions[1] - below.positions[0]
    above.positions[:, 2] += c / 2
    layers = below + above
    layers.set_cell([below.cell[0], below.cell[1], [0, 0, c]])
    layers.pbc = True
    layers.wrap()
    return layers


def test_water_as_the_authors_have_it() -> None:
    """The value in the documentation of dftd3."""
    pytest.importorskip("dftd3")
    water = molecule("H2O")
    water.calc = with_dispersion(Zero())
    assert water.get_potential_energy() == pytest.approx(-0.009781920198843976, abs=1e-8)
    forces = [[0, 0, 9.572e-5], [0, -4.060e-5, -4.786e-5], [0, 4.060e-5, -4.786e-5]]
    np.testing.assert_allclose(water.get_forces(), forces, atol=1e-8)


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list:UserWarning")
def test_graphite_as_another_implementation_has_it() -> None:
    pytest.importorskip("dftd3")
    torch_dftd = pytest.importorskip("torch_dftd.torch_dftd3_calculator")
    layers = graphite()
    layers.rattle(0.05, seed=1)
    other = layers.copy()
    cutoffs = {"cutoff": 60 * units.Bohr, "cnthr": 40 * units.Bohr}
    other.calc = torch_dftd.TorchDFTD3Calculator(
        atoms=other, damping="bj", xc="pbe", dtype=torch.float64, device="cpu", **cutoffs
    )
    layers.calc = with_dispersion(Zero())
    # which ends sharply at 60 Bohr
    assert layers.get_potential_energy() == pytest.approx(other.get_potential_energy(), rel=1e-3)
    np.testing.assert_allclose(layers.get_forces(), other.get_forces(), atol=2e-5)
    np.testing.assert_allclose(layers.get_stress(), other.get_stress(), atol=5e-5)


def test_forces_and_stress_are_derivatives() -> None:
    pytest.importorskip("dftd3")
    copper = bulk("Cu", cubic=True)
    copper.symbols[0] = "Au"
    copper.rattle(0.1, seed=2)
    copper.calc = with_dispersion(EMT())
    forces = calculate_numerical_forces(copper, eps=1e-3, iatoms=[0, 2])
    np.testing.assert_allclose(copper.get_forces()[[0, 2]], forces, atol=2e-4)
    stress = calculate_numerical_stress(copper, eps=1e-4)
    np.testing.assert_allclose(copper.get_stress(), stress, atol=5e-6)
    alone = copper.copy()
    alone.calc = EMT()
    assert copper.get_potential_energy() < alone.get_potential_energy() - 0.1  # metals attract much


def test_layers_attract_and_bind() -> None:
    """Dispersion alone pulls layers together, the more the nearer; in the plane it is small beside the bonds."""
    pytest.importorskip("dftd3")
    pulls = []
    for c in (6.4, 7.0, 8.0):
        layers = graphite(c)
        layers.calc = with_dispersion(Zero())
        pulls.append(layers.get_stress()[2])
    assert pulls[0] > pulls[1] > pulls[2] > 0
    # of the order of the −50 meV per atom that bind layers 3.35 Å apart, before repulsion is taken off
    near, far = graphite(6.7), graphite(24.0)
    for each in (near, far):
        each.calc = with_dispersion(Zero())
    binding = (near.get_potential_energy() - far.get_potential_energy()) / 4
    assert -0.09 < binding < -0.04


def test_a_model_of_this_package_with_dispersion() -> None:
    pytest.importorskip("dftd3")
    torch.manual_seed(0)
    potential = Potential(GPTFF(GPTFFConfig(channels=8, num_layers=1, num_radial=4))).double()
    salt = bulk("NaCl", "rocksalt", a=5.6)
    salt.rattle(0.05, seed=0)
    both = with_dispersion(potential)
    parts = [GPTFFCalculator(potential, device="cpu"), with_dispersion(Zero())]
    expected: list[Any] = []
    for part in parts:
        salt.calc = part
        expected.append((salt.get_potential_energy(), salt.get_forces(), salt.get_stress()))
    salt.calc = both
    for value, first, second in zip(
        (salt.get_potential_energy(), salt.get_forces(), salt.get_stress()), *expected, strict=True
    ):
        np.testing.assert_allclose(value, first + second, atol=1e-8)
    assert salt.get_potential_energy(force_consistent=True) == salt.get_potential_energy()
    found = relax(salt, both, max_steps=2)
    salt.calc = parts[0]
    assert found.initial.get_potential_energy() < salt.get_potential_energy()
    both.reset()
    assert not both.results


def test_what_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("dftd3"):
            raise ImportError(name)
        return real(name, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", without)
        with pytest.raises(DispersionError, match=r"pip install 'torch-gptff\[d3\]'"):
            with_dispersion(EMT())
    pytest.importorskip("dftd3")
    with pytest.raises(DispersionError, match="no parameters of the functional 'hope'"):
        with_dispersion(EMT(), "hope")
