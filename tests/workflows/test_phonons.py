"""Phonons: against the dynamical matrix of pair forces, elasticity, thermodynamics, and what is not a crystal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.neighborlist import neighbor_list
from minima import relaxed

from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.errors import EmptyStructureError, PhononError
from torch_gptff.workflows import PhononSpectrum, elastic_tensor, phonon_spectrum

pytest.importorskip("phonopy")

CUTOFF = 2.1  # of the Lennard-Jones crystal
THZ = 1e12 * 2 * np.pi * 1e-15 / units.fs  # in 1/(ASE's unit of time), of an angular frequency


@pytest.fixture(scope="module")
def copper() -> Atoms:
    return relaxed(bulk("Cu"), EMT())


@pytest.fixture(scope="module")
def spectrum(copper: Atoms) -> PhononSpectrum:
    return phonon_spectrum(copper, EMT(), min_length=9.5, mesh_density=60)


def pair_frequencies(atoms: Atoms, wave_vectors: np.ndarray) -> np.ndarray:
    """Of a crystal with one atom in the cell and Lennard-Jones forces, THz: D = Σ Φ_j (1 − cos q·r_j) / m."""
    vectors = neighbor_list("D", atoms, CUTOFF)
    r = np.linalg.norm(vectors, axis=1)[:, None, None]
    first, second = 4 * (-12 * r**-13 + 6 * r**-7), 4 * (156 * r**-14 - 42 * r**-8)
    along = vectors[:, :, None] * vectors[:, None, :] / r**2
    stiffness = second * along + first / r * (np.eye(3) - along)
    phases = 1 - np.cos(2 * np.pi * wave_vectors @ atoms.cell.reciprocal().array @ vectors.T)
    matrices = np.einsum("qj,jab->qab", phases, stiffness) / atoms.get_masses()[0]
    return np.sqrt(np.linalg.eigvalsh(matrices).clip(0)) / THZ


def test_lennard_jones_against_its_dynamical_matrix() -> None:
    calculator = LennardJones(rc=CUTOFF)
    atoms = relaxed(bulk("Ar", a=1.55), calculator)
    found = phonon_spectrum(atoms, calculator, min_length=2 * CUTOFF + 0.5, displacement=1e-3, mesh_density=10)
    expected = pair_frequencies(atoms, found.band_wave_vectors)
    assert expected.max() > 1
    np.testing.assert_allclose(found.band_frequencies, expected, atol=2e-3 * expected.max())
    assert found.is_stable


def test_sound_is_as_fast_as_the_elastic_constants_say(copper: Atoms, spectrum: PhononSpectrum) -> None:
    c11, c44 = elastic_tensor(copper, EMT()).stiffness[[0, 3], [0, 3]]
    density = copper.get_masses().sum() / copper.get_volume() / units.kg * 1e30  # kg/m³
    wave_vector = np.array([0, 0.5, 0.5]) * 0.02  # along [100], from Γ to X
    length = np.linalg.norm(wave_vector @ copper.cell.reciprocal().array) * 1e10  # 1/m
    phonon = spectrum.to_phonopy()
    phonon.run_qpoints([wave_vector])
    speeds = np.sort(np.array(phonon.qpoints.frequencies[0]) * 1e12 / length)
    expected = np.sqrt(np.array([c44, c44, c11]) * 1e9 / density)
    np.testing.assert_allclose(speeds, expected, rtol=0.02)


def test_the_path_through_the_zone(spectrum: PhononSpectrum) -> None:
    assert spectrum.band_points == ("Γ", "X", "W", "K", "Γ", "L", "U", "W", "L", "K|U", "X")
    gamma = spectrum.band_ticks[[0, 4]]
    for place in gamma:
        row = np.abs(spectrum.band_distances - place).argmin()
        np.testing.assert_allclose(spectrum.band_frequencies[row], 0, atol=1e-4)  # the acoustic sum rule
    assert spectrum.sum_rule_violation < 1e-3
    assert spectrum.lowest_frequency > -1e-3
    assert spectrum.imaginary_fraction == 0


def test_the_density_of_states_counts_the_branches(spectrum: PhononSpectrum) -> None:
    assert np.trapezoid(spectrum.dos, spectrum.dos_frequencies) == pytest.approx(3, abs=0.02)


def test_thermodynamics_is_consistent(copper: Atoms) -> None:
    kelvins = np.arange(0, 2001, 2.0)
    found = phonon_spectrum(copper, EMT(), supercell=(3, 3, 3), mesh_density=40, temperatures=kelvins)
    gas_constant = units.kB * units.mol / units.kJ * 1000
    assert found.heat_capacity[-1] == pytest.approx(3 * gas_constant, rel=2e-3)  # Dulong and Petit
    assert found.heat_capacity[0] == pytest.approx(0, abs=1e-12)
    assert found.entropy[0] == pytest.approx(0, abs=1e-12)
    kj = found.free_energy * units.mol / units.kJ
    warm = slice(10, -10)
    np.testing.assert_allclose(-np.gradient(kj, kelvins)[warm] * 1000, found.entropy[warm], rtol=1e-3, atol=1e-2)
    capacity = kelvins * np.gradient(found.entropy, kelvins)
    np.testing.assert_allclose(capacity[warm], found.heat_capacity[warm], rtol=2e-3, atol=2e-2)
    # ħω/2 for each branch
    mean = np.average(found.dos_frequencies, weights=found.dos)
    assert found.zero_point_energy == pytest.approx(3 / 2 * mean * 4.135667696e-3, rel=5e-3)
    assert found.heat_capacity_300K == found.heat_capacity[150]


def test_a_mole_of_atoms_whatever_the_cell(spectrum: PhononSpectrum, copper: Atoms) -> None:
    cubic = bulk("Cu", a=float(copper.cell.lengths()[0]) * np.sqrt(2), cubic=True)
    found = phonon_spectrum(cubic, EMT(), min_length=9.5, mesh_density=60)
    assert len(found.primitive) == 1
    assert found.atoms_per_formula_unit == 1
    assert found.heat_capacity_300K == pytest.approx(spectrum.heat_capacity_300K, rel=5e-3)


def test_an_unstable_crystal_is_called_so() -> None:
    found = phonon_spectrum(relaxed(bulk("Cu", "bcc", a=2.87), EMT()), EMT(), min_length=8, mesh_density=30)
    assert not found.is_stable
    assert found.lowest_frequency < -0.5
    assert 0 < found.imaginary_fraction < 1
    phonon = found.to_phonopy()
    phonon.run_qpoints([found.lowest_wave_vector])
    assert phonon.qpoints.frequencies.min() == pytest.approx(found.lowest_frequency, abs=1e-3)


def test_longitudinal_modes_are_raised_by_charges(tmp_path: Path) -> None:
    """ω(LO)² − ω(TO)² = 4π Z² / (ε V μ) in a cubic crystal of two ions."""
    calculator = LennardJones(sigma=2.4, rc=5.0)
    salt = relaxed(bulk("NaCl", "rocksalt", a=5.2), calculator)
    settings: dict[str, Any] = {"supercell": (3, 3, 3), "mesh_density": 5.0, "band_density": 10.0}
    without = phonon_spectrum(salt, calculator, **settings)
    assert any("no Born charges were given" in remark for remark in without.remarks)
    charge, dielectric = 1.1, 2.4
    rows = [f"{value} 0 0 0 {value} 0 0 0 {value}" for value in (dielectric, charge, -charge)]
    (tmp_path / "BORN").write_text("14.4\n" + "\n".join(rows) + "\n")
    found = phonon_spectrum(salt, calculator, born=tmp_path / "BORN", **settings)
    assert not found.remarks
    masses = salt.get_masses()
    reduced = masses[0] * masses[1] / masses.sum()
    raised = 4 * np.pi * 14.3996 * charge**2 / (dielectric * salt.get_volume() * reduced) / THZ**2
    (gamma,) = np.unique(found.band_ticks[[name == "Γ" for name in found.band_points]][:1])
    modes = found.band_frequencies[found.band_distances == gamma][0]
    transverse = without.band_frequencies[without.band_distances == gamma][0][-1]
    signed = np.sign(modes) * modes**2
    np.testing.assert_allclose(signed[3:5], np.sign(transverse) * transverse**2, atol=1e-3 * raised)
    assert signed[5] - signed[4] == pytest.approx(raised, rel=2e-3)
    sides = [np.sum(found.band_distances == tick) for tick in found.band_ticks]
    assert sides[0] == 1  # Γ, at the beginning
    assert sides[found.band_points.index("Γ", 1)] == 2  # and on the way
    phonon = found.to_phonopy()
    phonon.run_qpoints([[0, 0, 0]], nac_q_direction=[1, 1, 0])
    assert phonon.qpoints.frequencies[0][-1] == pytest.approx(modes[-1], rel=1e-6)
    (tmp_path / "BORN").write_text("14.4\n1 2 3\n")
    with pytest.raises(PhononError, match="BORN is no file of Born charges of this crystal"):
        phonon_spectrum(salt, calculator, born=tmp_path / "BORN", **settings)
    with pytest.raises(PhononError, match="absent cannot be read"):
        phonon_spectrum(salt, calculator, born=tmp_path / "absent", **settings)


class OneByOne(Calculator):
    """Another calculator with the forces of ours."""

    implemented_properties = ("energy", "forces")

    def __init__(self, inner: Calculator) -> None:
        super().__init__()
        self.inner = inner

    def calculate(self, atoms=None, properties=("energy",), system_changes=()) -> None:
        self.inner.calculate(atoms, ["energy", "forces"])
        self.results = dict(self.inner.results)


def test_batches_give_the_same_as_one_by_one() -> None:
    torch.manual_seed(1)
    potential = Potential(GPTFF(GPTFFConfig(channels=8, num_layers=1, num_radial=4))).double()
    calculator = GPTFFCalculator(potential, device="cpu")
    salt, seen = bulk("NaCl", "rocksalt", a=5.6), []
    settings = {"supercell": (2, 2, 2), "mesh_density": 10.0, "temperatures": [300.0]}
    ours = phonon_spectrum(salt, calculator, on_force=lambda *where: seen.append(where), **settings)
    assert ours.n_displaced == 2  # an atom of each element
    assert seen == [(3, 3)]
    theirs = phonon_spectrum(salt, OneByOne(calculator), on_force=lambda *where: seen.append(where), **settings)
    assert seen[1:] == [(1, 3), (2, 3), (3, 3)]
    np.testing.assert_allclose(ours.force_constants, theirs.force_constants, atol=1e-9)
    assert ours.atoms_per_formula_unit == 2
    assert ours.heat_capacity_300K_formula_unit == pytest.approx(2 * ours.heat_capacity_300K)
    with pytest.raises(PhononError, match="0 K is outside of the temperatures computed, 300 to 300 K"):
        _ = ours.zero_point_energy
    assert ours.to_dict()["derived"]["zero_point_energy"] is None


def test_forces_on_the_undisplaced_crystal_are_taken_off(copper: Atoms) -> None:
    """A constant force on each atom, as of noise, changes no frequency; and it is told."""

    class Pushed(EMT):
        def calculate(self, *args: Any, **kwargs: Any) -> None:
            super().calculate(*args, **kwargs)
            push = np.random.default_rng(0).normal(size=self.results["forces"].shape)
            self.results["forces"] = self.results["forces"] + 0.05 * push

    settings = {"supercell": (3, 3, 3), "mesh_density": 10.0}
    pushed, free = phonon_spectrum(copper, Pushed(), **settings), phonon_spectrum(copper, EMT(), **settings)
    assert pushed.residual_force > 0.05
    assert free.residual_force < 1e-6
    np.testing.assert_allclose(pushed.band_frequencies, free.band_frequencies, atol=1e-4)


def test_masses_are_obeyed(copper: Atoms) -> None:
    heavy = copper.copy()
    heavy.set_masses(4 * copper.get_masses())
    settings = {"supercell": (2, 2, 2), "mesh_density": 10.0}
    found, usual = phonon_spectrum(heavy, EMT(), **settings), phonon_spectrum(copper, EMT(), **settings)
    np.testing.assert_allclose(2 * found.band_frequencies, usual.band_frequencies, atol=1e-3)


def test_a_record_comes_back(spectrum: PhononSpectrum, tmp_path: Path) -> None:
    spectrum.save(tmp_path / "copper.json")
    found = PhononSpectrum.load(tmp_path / "copper.json")
    np.testing.assert_array_equal(found.band_frequencies, spectrum.band_frequencies)
    assert found.band_points == spectrum.band_points
    assert found.to_dict() == spectrum.to_dict()


@pytest.mark.parametrize("atoms", [bulk("Cu"), bulk("CsCl", "cesiumchloride", a=30)], ids=["one atom", "no neighbours"])
def test_a_supercell_in_which_no_force_answers_is_refused(atoms: Atoms) -> None:
    calculator = EMT() if len(atoms) == 1 else LennardJones(rc=CUTOFF)
    with pytest.raises(PhononError, match=rf"no force answers .* supercell 1x1x1 of {len(atoms)} atoms: .* a larger"):
        phonon_spectrum(atoms, calculator, supercell=(1, 1, 1))


def test_bad_input(copper: Atoms) -> None:
    with pytest.raises(EmptyStructureError):
        phonon_spectrum(Atoms(), EMT())
    with pytest.raises(PhononError, match="pass a calculator"):
        phonon_spectrum(bulk("Cu"))
    with pytest.raises(PhononError, match="periodic in three directions"):
        phonon_spectrum(molecule("H2O"), EMT())
    with pytest.raises(PhononError, match="is not small"):
        phonon_spectrum(copper, EMT(), displacement=2)
    with pytest.raises(PhononError, match="three numbers of 1 or more"):
        phonon_spectrum(copper, EMT(), supercell=(2, 0, 2))
    with pytest.raises(PhononError, match="at least 0 K"):
        phonon_spectrum(copper, EMT(), temperatures=[-1.0, 300.0])

    class Broken(EMT):
        def calculate(self, *args: Any, **kwargs: Any) -> None:
            super().calculate(*args, **kwargs)
            self.results["forces"] = self.results["forces"] * np.nan

    with pytest.raises(PhononError, match="not finite"):
        phonon_spectrum(copper, Broken(), supercell=(2, 2, 2))
