"""Elasticity: against lattice sums, the curvature of the energy, symmetry, and another implementation of the moduli."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal
from minima import relaxed
from pymatgen.analysis.elasticity.elastic import ElasticTensor as PymatgenTensor

from torch_gptff.errors import ElasticityError, EmptyStructureError
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows import ElasticTensor, elastic_tensor, relax
from torch_gptff.workflows.elastic_standard import crystal_system, named_constants, standard_stiffness
from torch_gptff.workflows.reports.elastic import elastic_report


@pytest.fixture(scope="module")
def copper() -> Atoms:
    return relaxed(bulk("Cu"), EMT())


@pytest.fixture(scope="module")
def copper_tensor(copper: Atoms) -> ElasticTensor:
    return elastic_tensor(copper, EMT())


def curvature(atoms: Atoms, strain: np.ndarray, step: float = 2e-3) -> float:
    """``(1/V) d²E/dδ²`` with the cell multiplied by ``1 + δ·strain`` and the atoms relaxed, GPa."""

    def energy(delta: float) -> float:
        strained = atoms.copy()
        strained.set_cell(atoms.cell @ (np.eye(3) + delta * strain), scale_atoms=True)
        return relax(strained, EMT(), fix_cell=True, fmax=1e-5, optimizer="BFGS").energy

    # fourth order in the step
    values = [energy(k * step) for k in (-2, -1, 0, 1, 2)]
    second = np.dot([-1, 16, -30, 16, -1], values) / (12 * step**2)
    return float(second / atoms.get_volume() * GPA_PER_EV_PER_ANGSTROM3)


def test_copper_against_the_curvature_of_its_energy(copper: Atoms, copper_tensor: ElasticTensor) -> None:
    c = copper_tensor.stiffness
    assert c[0, 0] == pytest.approx(curvature(copper, np.diag([1.0, 0, 0])), rel=1e-3)
    assert 2 * (c[0, 0] - c[0, 1]) == pytest.approx(curvature(copper, np.diag([1.0, -1, 0])), rel=1e-3)
    shear = np.zeros((3, 3))
    shear[0, 1] = shear[1, 0] = 0.5
    assert c[3, 3] == pytest.approx(curvature(copper, shear), rel=1e-3)
    assert copper_tensor.bulk_modulus == pytest.approx(curvature(copper, np.eye(3)) / 9, rel=1e-3)
    assert copper_tensor.is_stable
    assert copper_tensor.space_group == "Fm-3m (225)"
    assert np.abs(copper_tensor.residual_stress).max() < 1e-4
    assert copper_tensor.standard_error.max() < 0.02


def test_a_cubic_tensor_has_three_constants(copper_tensor: ElasticTensor) -> None:
    c11, c12, c44 = copper_tensor.stiffness[[0, 0, 3], [0, 1, 3]]
    expected = np.diag([c11 - c12] * 3 + [c44] * 3)
    expected[:3, :3] += c12
    np.testing.assert_allclose(copper_tensor.stiffness, expected, atol=1e-9)


def test_constants_have_names_whatever_the_orientation(copper: Atoms, copper_tensor: ElasticTensor) -> None:
    expected = copper_tensor.stiffness[[0, 0, 3], [0, 1, 3]]  # the cell of bulk() has its cube along the axes
    assert copper_tensor.crystal_system == "cubic"
    assert list(copper_tensor.constants) == ["C11", "C12", "C44"]
    assert list(copper_tensor.constants.values()) == pytest.approx(expected, abs=1e-6)
    turned = copper.copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    found = elastic_tensor(turned, EMT())
    assert abs(found.stiffness[0, 0] - expected[0]) > 5  # along no edge of the cube
    assert list(found.constants.values()) == pytest.approx(expected, rel=2e-3)  # strains along other directions
    assert found.to_dict()["derived"]["constants"]["C44"] == found.constants["C44"]
    (column,) = [each for each in found.columns if each.name == "constants"]
    c11, c12, c44 = expected
    assert column.of(copper_tensor) == f"C11 {c11:.1f}, C12 {c12:.1f}, C44 {c44:.1f}"
    without = replace(copper_tensor, space_group=None)
    with pytest.raises(ElasticityError, match="no symmetry was looked for"):
        _ = without.constants
    assert without.to_dict()["derived"]["constants"] is None


def test_constants_of_a_hexagonal_crystal() -> None:
    """The sixfold axis becomes the third, and C66 = (C11 − C12)/2."""
    hexagonal = bulk("Cu", "hcp", a=2.55, c=4.16)
    hexagonal.rotate(90, "x", rotate_cell=True)
    found = elastic_tensor(relaxed(hexagonal, EMT()), EMT())
    assert found.crystal_system == "hexagonal"
    c = found.constants
    assert list(c) == ["C11", "C12", "C13", "C33", "C44"]
    standard = found.standard_stiffness
    assert standard[5, 5] == pytest.approx((c["C11"] - c["C12"]) / 2, abs=0.01)
    assert c["C33"] == pytest.approx(found.stiffness[1, 1], abs=0.01)  # along y, where the axis was turned to
    assert standard[2, 2] > standard[0, 0]  # of a close-packed metal
    assert standard[:3, :3].sum() == pytest.approx(found.stiffness[:3, :3].sum(), abs=0.01)  # an invariant


@pytest.mark.parametrize("c", [2.96, 6.2])
@pytest.mark.parametrize("main", [2, 0])
def test_the_fourfold_axis_becomes_the_third(c: float, main: int) -> None:
    """Whether ``c`` is shorter than ``a``, as in rutile, or longer, and along whatever axis the cell has it."""
    rutile = crystal(["Ti", "O"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.6, 4.6, c, 90, 90, 90])
    constants = {"C11": 270.0, "C12": 175.0, "C13": 147.0, "C33": 480.0, "C44": 124.0, "C66": 193.0}
    stiffness = np.diag([270.0, 270.0, 480.0, 124.0, 124.0, 193.0])
    stiffness[0, 1], stiffness[:2, 2] = 175.0, 147.0
    stiffness = np.triu(stiffness) + np.triu(stiffness, 1).T
    if main == 0:  # x, y and z become y, z and x
        rutile = Atoms(rutile.symbols, rutile.positions[:, [2, 0, 1]], cell=rutile.cell.array[:, [2, 0, 1]], pbc=True)
        order = [2, 0, 1, 5, 3, 4]
        stiffness = stiffness[np.ix_(order, order)]
    turned = standard_stiffness(stiffness, rutile)
    assert named_constants(turned, "tetragonal") == pytest.approx(constants, abs=1e-6)


@pytest.mark.parametrize(
    ("number", "system", "n_constants"),
    [
        *((1, "triclinic", 21), (14, "monoclinic", 13), (62, "orthorhombic", 9), (88, "tetragonal, low", 7)),
        *((136, "tetragonal", 6), (148, "trigonal, low", 7), (167, "trigonal", 6), (194, "hexagonal", 5)),
        (225, "cubic", 3),
    ],
)
def test_how_many_constants_are_independent(number: int, system: str, n_constants: int) -> None:
    assert crystal_system(number) == system
    assert len(named_constants(np.eye(6), system)) == n_constants


def test_symmetry_spares_work_and_changes_nothing(copper: Atoms, copper_tensor: ElasticTensor) -> None:
    without = elastic_tensor(copper, EMT(), symprec=None)
    assert (copper_tensor.n_strained, without.n_strained) == (6, 24)  # ±, ±½ of a stretch; ½ and 1 of a shear
    assert without.space_group is None
    np.testing.assert_allclose(without.stiffness, copper_tensor.stiffness, atol=1e-6)


def test_lennard_jones_against_lattice_sums() -> None:
    """Of central pair forces, C_ijkl = Σ (φ'' − φ'/r) r_i r_j r_k r_l / r² / 2V, where there is no stress."""
    cutoff = 4.0
    calculator = LennardJones(sigma=1.0, epsilon=1.0, rc=cutoff)
    atoms = relaxed(bulk("Ar", a=1.55), calculator)
    vectors = neighbor_list("D", atoms, cutoff)
    r = np.linalg.norm(vectors, axis=1)
    first = 4 * (-12 * r**-13 + 6 * r**-7)
    second = 4 * (156 * r**-14 - 42 * r**-8)
    weights = (second - first / r) / r**2 / (2 * atoms.get_volume()) * GPA_PER_EV_PER_ANGSTROM3

    def lattice_sum(*axes: int) -> float:
        return float((weights * vectors[:, axes].prod(axis=1)).sum())

    c = elastic_tensor(atoms, calculator, max_strain=0.001).stiffness
    assert c[0, 0] == pytest.approx(lattice_sum(0, 0, 0, 0), rel=1e-3)
    assert c[0, 1] == pytest.approx(lattice_sum(0, 0, 1, 1), rel=1e-3)
    assert c[3, 3] == pytest.approx(c[0, 1], rel=1e-3)  # Cauchy


def test_a_hexagonal_crystal_with_inner_relaxation() -> None:
    atoms = relaxed(bulk("Cu", "hcp", a=2.55, c=4.16), EMT())
    tensor = elastic_tensor(atoms, EMT())
    c = tensor.stiffness
    assert tensor.space_group == "P6_3/mmc (194)"
    assert c[5, 5] == pytest.approx((c[0, 0] - c[0, 1]) / 2, abs=1e-9)
    assert c[3, 3] == pytest.approx(c[4, 4], abs=1e-9)
    assert c[0, 0] == pytest.approx(curvature(atoms, np.diag([1.0, 0, 0])), rel=2e-3)
    assert c[2, 2] == pytest.approx(curvature(atoms, np.diag([0, 0, 1.0])), rel=2e-3)
    clamped = elastic_tensor(atoms, EMT(), relax_positions=False).stiffness
    assert clamped[0, 0] > c[0, 0] + 5  # relaxing can only soften
    assert clamped[2, 2] == pytest.approx(c[2, 2], rel=1e-3)  # and has nothing to do along the axis
    without = elastic_tensor(atoms, EMT(), symprec=None)
    np.testing.assert_allclose(without.stiffness, c, atol=0.1)


def test_the_tensor_turns_with_the_crystal(copper: Atoms, copper_tensor: ElasticTensor) -> None:
    turned = copper.copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    rotation = np.linalg.solve(copper.cell.array, turned.cell.array).T
    expected = PymatgenTensor.from_voigt(copper_tensor.stiffness).rotate(rotation, tol=1e-6).voigt
    np.testing.assert_allclose(elastic_tensor(turned, EMT()).stiffness, expected, atol=0.05)


def test_moduli_against_pymatgen(copper_tensor: ElasticTensor) -> None:
    other = PymatgenTensor.from_voigt(copper_tensor.stiffness)
    assert copper_tensor.bulk_modulus_voigt == pytest.approx(other.k_voigt)
    assert copper_tensor.bulk_modulus_reuss == pytest.approx(other.k_reuss)
    assert copper_tensor.bulk_modulus == pytest.approx(other.k_vrh)
    assert copper_tensor.shear_modulus_voigt == pytest.approx(other.g_voigt)
    assert copper_tensor.shear_modulus_reuss == pytest.approx(other.g_reuss)
    assert copper_tensor.shear_modulus == pytest.approx(other.g_vrh)
    assert copper_tensor.young_modulus == pytest.approx(other.y_mod / 1e9)
    assert copper_tensor.poisson_ratio == pytest.approx(other.homogeneous_poisson)
    assert copper_tensor.universal_anisotropy == pytest.approx(other.universal_anisotropy)
    s11, s12, s44 = copper_tensor.compliance[[0, 0, 3], [0, 1, 3]]
    along = copper_tensor.directional_young_modulus(np.array([[2.0, 0, 0], [1, 1, 1], [0, 1, 1]]))
    anisotropic = s11 - s12 - s44 / 2
    assert along == pytest.approx([1 / s11, 1 / (s11 - 2 / 3 * anisotropic), 1 / (s11 - anisotropic / 2)])


def test_an_unstable_crystal_is_called_so() -> None:
    """Copper is no bcc metal: a tetragonal strain lowers its energy (Bain)."""
    tensor = elastic_tensor(relaxed(bulk("Cu", "bcc", a=2.87), EMT()), EMT())
    assert not tensor.is_stable
    assert tensor.stability_eigenvalues[0] == pytest.approx(tensor.stiffness[0, 0] - tensor.stiffness[0, 1])
    assert tensor.stability_eigenvalues[0] < 0
    assert tensor.bulk_modulus > 100


def test_the_stress_of_an_unrelaxed_crystal_is_reported() -> None:
    atoms = bulk("Cu", a=3.65)
    tensor = elastic_tensor(atoms, EMT())
    atoms.calc = EMT()
    np.testing.assert_allclose(tensor.residual_stress, atoms.get_stress(voigt=False) * GPA_PER_EV_PER_ANGSTROM3)
    assert tensor.residual_stress[0, 0] > 1


def test_progress_and_the_structure_given(copper: Atoms) -> None:
    before, seen = copper.copy(), []
    tensor = elastic_tensor(copper, EMT(), on_strain=lambda done, total: seen.append((done, total)))
    assert seen == [(k + 1, 6) for k in range(6)]
    assert copper == before
    assert tensor.atoms == before


def test_a_record_comes_back(copper_tensor: ElasticTensor, tmp_path: Path) -> None:
    copper_tensor.save(tmp_path / "copper.json")
    found = ElasticTensor.load(tmp_path / "copper.json")
    np.testing.assert_array_equal(found.stiffness, copper_tensor.stiffness)
    assert found.atoms == copper_tensor.atoms
    assert found.to_dict() == copper_tensor.to_dict()
    assert copper_tensor.to_dict()["derived"]["is_stable"] is True


def test_a_strain_that_costs_nothing(copper_tensor: ElasticTensor, tmp_path: Path) -> None:
    stiffness = copper_tensor.stiffness.copy()
    stiffness[3, 3] = 0
    liquid = replace(copper_tensor, stiffness=stiffness)
    assert not liquid.is_stable
    with pytest.raises(ElasticityError, match="a strain costs nothing"):
        _ = liquid.shear_modulus
    liquid.save(tmp_path / "liquid.json")
    derived = json.loads((tmp_path / "liquid.json").read_text())["derived"]
    assert derived["shear_modulus"] is None
    assert derived["bulk_modulus_voigt"] == pytest.approx(copper_tensor.bulk_modulus_voigt)
    assert len(elastic_report([("liquid", liquid)]).to_html()) > 1000


class Broken(Calculator):
    """Forces are zero; the stress is not a number."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, atoms=None, properties=("energy",), system_changes=()) -> None:
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3)), "stress": np.full(6, np.nan)}


class Stressless(Calculator):
    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=()) -> None:
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3))}


def test_bad_input(copper: Atoms) -> None:
    with pytest.raises(EmptyStructureError):
        elastic_tensor(Atoms(), EMT())
    with pytest.raises(ElasticityError, match="pass a calculator"):
        elastic_tensor(bulk("Cu"))
    with pytest.raises(ElasticityError, match="periodic in three directions"):
        elastic_tensor(molecule("H2O"), EMT())
    slab = fcc111("Cu", (1, 1, 2), vacuum=8)
    slab.pbc = True
    with pytest.raises(ElasticityError, match="this is a sheet or slab in vacuum"):
        elastic_tensor(slab, EMT())
    with pytest.raises(ElasticityError, match=r"0\.5 is not small"):
        elastic_tensor(copper, EMT(), max_strain=0.5)
    with pytest.raises(ElasticityError, match="Stressless gives no stress"):
        elastic_tensor(copper, Stressless())
    with pytest.raises(ElasticityError, match=r"under no strain.* not finite"):
        elastic_tensor(copper, Broken(), relax_positions=False)
    rattled = copper * (2, 2, 1)
    rattled.rattle(0.1, seed=1)
    with pytest.raises(ElasticityError, match=r"under no strain, the largest force is still .* after 1 steps"):
        elastic_tensor(rattled, EMT(), max_steps=1)
