"""Thermal expansion: of pair forces by an inverse power, whose modes all have one Grüneisen parameter, (n + 2)/6."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.neighborlist import neighbor_list
from ase.stress import full_3x3_to_voigt_6_stress
from html_page import assert_self_contained
from scipy.optimize import brentq

from torch_gptff.errors import PhononError
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3, KELVIN_IN_EV
from torch_gptff.workflows import QuasiHarmonicCrystal, quasi_harmonic
from torch_gptff.workflows.reports.qha import qha_report
from torch_gptff.workflows.thermal_expansion import TERAHERTZ_IN_EV

pytest.importorskip("phonopy")

POWER, REST, LENGTH = 12, 0.06, 3.0
GAMMA = (POWER + 2) / 6
VOLUME = LENGTH**3 / np.sqrt(2)  # of an atom
PRESSURE = 6 * REST * POWER / 3 / VOLUME  # at which LENGTH is the distance of the six bonds of an atom


class InversePower(Calculator):
    """``Σ e (l/r)¹² + p V`` over nearest neighbours: repulsion, and a pressure that makes a minimum of it."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        volume = self.atoms.get_volume()
        per_atom = volume / len(self.atoms)
        reach = 1.2 * LENGTH * (per_atom / VOLUME) ** (1 / 3)
        i, vectors = neighbor_list("iD", self.atoms, reach)
        r = np.linalg.norm(vectors, axis=1)
        pair = REST * (LENGTH / r) ** POWER
        pulls = (-POWER * pair / r**2)[:, None] * vectors  # derivatives by r_j - r_i
        forces = np.zeros((len(self.atoms), 3))
        np.add.at(forces, i, pulls)
        virial = 0.5 * np.einsum("ba,bc->ac", vectors, pulls) / volume
        self.results = {
            "energy": 0.5 * pair.sum() + PRESSURE * volume,
            "forces": forces,
            "stress": full_3x3_to_voigt_6_stress(virial + PRESSURE * np.eye(3)),
        }


@pytest.fixture(scope="module")
def crystal() -> QuasiHarmonicCrystal:
    atoms = bulk("Ar", "fcc", a=LENGTH * np.sqrt(2))
    settings: dict[str, Any] = {"supercell": (3, 3, 3), "mesh_density": 25.0, "displacement": 0.002}
    return quasi_harmonic(atoms, InversePower(), max_temperature=400, temperature_step=5, **settings)


def vibration(crystal: QuasiHarmonicCrystal, volume: float, kelvin: float) -> tuple[float, float]:
    """Energy, eV, and heat capacity, eV/K, of an atom, with frequencies that scale as ``V^-γ``."""
    energies = crystal.mode_frequencies * TERAHERTZ_IN_EV * (VOLUME / volume) ** GAMMA
    x = energies / (2 * KELVIN_IN_EV * kelvin)
    weights = crystal.mode_weights / crystal.mode_weights.sum() * 3
    return float(weights @ (energies / 2 / np.tanh(x))), float(KELVIN_IN_EV * weights @ (x / np.sinh(x)) ** 2)


def equilibrium(crystal: QuasiHarmonicCrystal, kelvin: float) -> float:
    """Å³ per atom at which the pressures of atoms at rest, of vibrations and from outside add up to nothing."""

    def pressure(volume: float) -> float:
        rest = PRESSURE * (VOLUME / volume) ** (POWER / 3 + 1)
        return rest + GAMMA * vibration(crystal, volume, kelvin)[0] / volume - PRESSURE

    return float(brentq(pressure, VOLUME, 1.2 * VOLUME, xtol=1e-12))


def test_every_mode_has_the_parameter_of_the_power(crystal: QuasiHarmonicCrystal) -> None:
    assert len(crystal.mode_gruneisen) > 30
    # a difference of 2 % on either side of V⁻ᵞ is off by 2.5e-3 of it
    np.testing.assert_allclose(crystal.mode_gruneisen, GAMMA, rtol=4e-3)
    assert crystal.mean_gruneisen == pytest.approx(GAMMA, rel=4e-3)
    np.testing.assert_allclose(crystal.gruneisen[crystal.temperatures > 50], GAMMA, rtol=6e-3)
    assert crystal.is_stable


@pytest.mark.parametrize("kelvin", [100.0, 200.0, 300.0])
def test_the_volume_balances_pressures(crystal: QuasiHarmonicCrystal, kelvin: float) -> None:
    volume = equilibrium(crystal, kelvin)
    assert volume > 1.005 * VOLUME
    assert crystal.at("volume", kelvin) == pytest.approx(volume, rel=2e-4)
    slope = (equilibrium(crystal, kelvin + 1) - equilibrium(crystal, kelvin - 1)) / 2
    assert crystal.at("thermal_expansion", kelvin) == pytest.approx(slope / volume, rel=0.01)


def test_bulk_modulus_and_heat_capacities(crystal: QuasiHarmonicCrystal) -> None:
    kelvin = 250.0
    volume = equilibrium(crystal, kelvin)
    energy, capacity = vibration(crystal, volume, kelvin)
    rest = (POWER / 3 + 1) * PRESSURE * (VOLUME / volume) ** (POWER / 3 + 1)
    modulus = rest + (GAMMA * (GAMMA + 1) * energy - GAMMA**2 * kelvin * capacity) / volume
    assert crystal.at("bulk_modulus", kelvin) == pytest.approx(modulus * GPA_PER_EV_PER_ANGSTROM3, rel=5e-3)
    expansion = GAMMA * capacity / (modulus * volume)
    more = expansion**2 * modulus * volume * kelvin  # eV/K, by which the capacity at constant pressure is larger
    joules = (capacity + more) * 1.602176634e-19 * 6.02214076e23
    assert crystal.at("heat_capacity", kelvin) == pytest.approx(joules, rel=5e-3)
    assert more > 0.03 * capacity
    kelvins, gibbs = crystal.temperatures, crystal.gibbs_energy
    by_energy = -kelvins * np.gradient(np.gradient(gibbs, kelvins), kelvins) * 1.602176634e-19 * 6.02214076e23
    assert np.interp(kelvin, kelvins, by_energy) == pytest.approx(joules, rel=0.02)


def test_temperatures_end_where_the_volumes_do() -> None:
    atoms = bulk("Ar", "fcc", a=LENGTH * np.sqrt(2))
    ratios = [0.98, 0.99, 1.0, 1.01, 1.02]
    settings: dict[str, Any] = {"supercell": (2, 2, 2), "mesh_density": 10.0, "temperature_step": 20}
    found = quasi_harmonic(atoms, InversePower(), ratios=ratios, **settings)
    assert 100 < found.temperatures[-1] < 400
    assert found.volume[-1] < found.volumes[-1]
    assert any(f"above {found.temperatures[-1]:g} K the volume" in remark for remark in found.remarks)
    with pytest.raises(PhononError, match="1000 K is outside of the temperatures computed"):
        found.at("volume", 1000)
    with pytest.raises(PhononError, match="the free energy at 0 K is least at the largest of the volumes"):
        quasi_harmonic(bulk("Ar", "fcc", a=0.92 * LENGTH * np.sqrt(2)), InversePower(), ratios=ratios, **settings)


def test_what_it_refuses() -> None:
    copper = bulk("Cu")
    with pytest.raises(PhononError, match="periodic in three directions"):
        quasi_harmonic(Atoms("Cu"), EMT())
    with pytest.raises(PhononError, match="at least five different positive ratios"):
        quasi_harmonic(copper, EMT(), ratios=[0.98, 1, 1.02])
    with pytest.raises(PhononError, match="all on one side of it"):
        quasi_harmonic(copper, EMT(), ratios=[1, 1.01, 1.02, 1.03, 1.04])
    with pytest.raises(PhononError, match="take a positive step"):
        quasi_harmonic(copper, EMT(), temperature_step=0)
    with pytest.raises(PhononError, match="no equation of state 'hooke'; there are vinet"):
        quasi_harmonic(copper, EMT(), form="hooke")


def test_record_and_report(crystal: QuasiHarmonicCrystal, tmp_path: Path) -> None:
    crystal.save(tmp_path / "qha.json")
    again = QuasiHarmonicCrystal.load(tmp_path / "qha.json")
    assert again.to_dict() == crystal.to_dict()
    page = assert_self_contained(qha_report([("argon", again)], "by hand").to_html())
    assert page.text["h1"] == ["Thermal expansion"]
    row = next(row for row in page.rows if row[0] == "Ar")
    assert row[3] == f"{1e6 * crystal.at('thermal_expansion', 300):.2f}"
    assert crystal.linear_expansion_300K == pytest.approx(crystal.at("thermal_expansion", 300) / 3)
