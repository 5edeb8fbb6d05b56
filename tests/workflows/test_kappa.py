"""Thermal conductivity of a Lennard-Jones crystal: laws of the classical limit, sums over modes, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from html_page import assert_self_contained
from minima import relaxed

from torch_gptff.errors import PhononError
from torch_gptff.workflows import ThermalConductivity, thermal_conductivity
from torch_gptff.workflows.reports.kappa import kappa_report

pytest.importorskip("phono3py")

CALCULATOR = LennardJones(epsilon=0.0104, sigma=3.4, rc=6.0)
SETTINGS: dict[str, Any] = {"supercell": (3, 3, 3), "mesh_density": 30.0, "temperatures": [20, 300, 600]}


@pytest.fixture(scope="module")
def argon() -> Atoms:
    return relaxed(bulk("Ar", "fcc", a=5.25), CALCULATOR)


@pytest.fixture(scope="module")
def crystal(argon: Atoms) -> ThermalConductivity:
    return thermal_conductivity(argon, CALCULATOR, **SETTINGS)


def test_laws_of_the_classical_limit(argon: Atoms, crystal: ThermalConductivity) -> None:
    """Far above the frequencies of the modes, κ falls as 1/T, and as the square root of the mass."""
    for tensor in crystal.conductivity:
        np.testing.assert_allclose(tensor, np.eye(3) * tensor[0, 0], atol=2e-3 * tensor[0, 0])  # of a cubic crystal
    first, second = crystal.mean_conductivity[1:]
    assert first / second == pytest.approx(2, rel=0.02)
    assert crystal.mean_conductivity[0] > first  # falls with temperature
    heavy = argon.copy()
    heavy.set_masses(4 * argon.get_masses())
    slow = thermal_conductivity(heavy, CALCULATOR, **SETTINGS)
    assert slow.mean_conductivity[2] == pytest.approx(crystal.mean_conductivity[2] / 2, rel=0.02)
    assert slow.mode_frequencies.max() == pytest.approx(crystal.mode_frequencies.max() / 2, rel=1e-6)


def test_of_the_size_of_argon(crystal: ThermalConductivity) -> None:
    """0.6 to 1.4 W/(m K) at 20 K in experiment (White and Woods 1958), as kinetic theory has it with a coarse mesh."""
    assert 0.3 < crystal.mean_conductivity[0] < 3


def test_modes_add_up(crystal: ThermalConductivity) -> None:
    assert crystal.mode_temperature == 300
    assert crystal.mode_conductivity.sum() == pytest.approx(crystal.conductivity_300K, rel=0.01)
    assert (crystal.mode_lifetimes > 0).all()
    assert crystal.mode_weights.sum() == pytest.approx(3 * np.prod(crystal.mesh), rel=0.01)  # but for modes at Γ
    # 0.2 to 100 ps: more than a period of vibration, and less than that of sound across the mesh
    assert crystal.mode_lifetimes.min() > 0.05


def test_pairs_within_a_distance(argon: Atoms, crystal: ThermalConductivity) -> None:
    near = thermal_conductivity(argon, CALCULATOR, pair_cutoff=4.5, **SETTINGS)
    assert near.n_displaced < crystal.n_displaced
    assert near.conductivity_300K == pytest.approx(crystal.conductivity_300K, rel=0.3)


def test_what_it_refuses(argon: Atoms) -> None:
    with pytest.raises(PhononError, match="periodic in three directions"):
        thermal_conductivity(Atoms("Ar"), CALCULATOR)
    with pytest.raises(PhononError, match="is not small"):
        thermal_conductivity(argon, CALCULATOR, displacement=1.0)
    with pytest.raises(PhononError, match="positive distance"):
        thermal_conductivity(argon, CALCULATOR, pair_cutoff=0.0)
    with pytest.raises(PhononError, match="numbers above 0 K"):
        thermal_conductivity(argon, CALCULATOR, temperatures=[0, 100])
    with pytest.raises(PhononError, match="a mode is imaginary"):
        thermal_conductivity(
            relaxed(bulk("Cu", "bcc", a=2.87), EMT()), EMT(), supercell=(3, 3, 3), mesh_density=15, temperatures=[300]
        )


def test_record_and_report(crystal: ThermalConductivity, tmp_path: Path) -> None:
    crystal.save(tmp_path / "kappa.json")
    again = ThermalConductivity.load(tmp_path / "kappa.json")
    assert again.to_dict() == crystal.to_dict()
    page = assert_self_contained(kappa_report([("argon", again)], "by hand").to_html())
    assert page.text["h1"] == ["Thermal conductivity"]
    row = next(row for row in page.rows if row[0] == "Ar")
    assert float(row[1]) == pytest.approx(crystal.conductivity_300K, rel=1e-3)
    with pytest.raises(PhononError, match="700 K is outside of the temperatures computed"):
        crystal.at(700)
