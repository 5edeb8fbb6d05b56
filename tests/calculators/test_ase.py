"""The ASE calculator: ASE's conventions, the published energies, and results that no skin changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, fcc111, molecule
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from ase.io import Trajectory, read, write
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from torch_gptff import GPTFF, GPTFFCalculator, GPTFFConfig, Potential, load_pretrained
from torch_gptff.errors import (
    CheckpointError,
    NonFiniteError,
    UnfamiliarCompositionWarning,
    UnknownReferenceError,
    UnsupportedElementError,
)
from torch_gptff.io import save
from torch_gptff.testing import CalculatorConformance

SMALL: dict[str, Any] = {"channels": 8, "num_layers": 2, "num_radial": 4, "feedforward_channels": 16}


def make_potential(make: Callable[..., GPTFFConfig] = GPTFFConfig, **settings: Any) -> Potential:
    torch.manual_seed(1)
    return Potential(GPTFF(make(**{**SMALL, **settings})), torch.randn(95)).double().eval()


@pytest.fixture
def potential() -> Potential:
    return make_potential()


def crystal() -> Atoms:
    """Sheared, out of its symmetry, of several elements."""
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    atoms.set_cell(atoms.cell.array @ [[1.02, 0.03, 0], [0, 0.99, -0.04], [0.05, 0, 1]], scale_atoms=True)
    atoms.rattle(0.1, seed=2)
    return atoms


def calculated(calculator: Calculator, atoms: Atoms) -> Atoms:
    atoms = atoms.copy()
    atoms.calc = calculator
    return atoms


class TestConformance(CalculatorConformance):
    @pytest.fixture
    def calculator(self, potential: Potential) -> Calculator:
        return GPTFFCalculator(potential)


class TestConformanceOfV1(CalculatorConformance):
    """Without an envelope, and without atomic energies."""

    names: ClassVar[Sequence[str]] = ("rattled_crystal", "slab", "bent_molecule")

    @pytest.fixture
    def calculator(self, shared_data: Path) -> Calculator:
        return GPTFFCalculator(shared_data / "pretrained" / "gptff_v1.pth", dtype=torch.float64)


# -- the same as the potential, and as the published code


@pytest.mark.parametrize(
    "atoms", [crystal(), bulk("Cu"), fcc111("Al", (2, 2, 2), vacuum=5.0), molecule("CH3OH")], ids=str
)
def test_it_gives_what_the_potential_gives(atoms: Atoms, potential: Potential) -> None:
    prediction = potential.predict([atoms], energies=True)[0]
    atoms = calculated(GPTFFCalculator(potential), atoms)
    assert atoms.get_potential_energy() == pytest.approx(prediction.energy.item(), abs=1e-12)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    np.testing.assert_allclose(atoms.get_forces(), prediction.forces.numpy(), atol=1e-12)
    np.testing.assert_allclose(atoms.get_potential_energies(), prediction.energies.numpy(), atol=1e-12)
    if atoms.cell.volume > 0:
        np.testing.assert_allclose(atoms.get_stress(voigt=False), prediction.stress[0].numpy(), atol=1e-14)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_published_values(version: str, shared_data: Path) -> None:
    """What the published code gives for the published checkpoints, through one calculator."""
    systems = json.loads((shared_data / "golden" / "published_checkpoints.json").read_text())["systems"]
    calculator = GPTFFCalculator(shared_data / "pretrained" / f"gptff_{version}.pth", dtype=torch.float64)
    assert len(systems) == 24
    for system in systems:
        expected = system[version]
        atoms = Atoms(system["numbers"], positions=system["positions"], cell=system["cell"], pbc=system["pbc"])
        atoms.calc = calculator
        name = system["name"]
        assert atoms.get_potential_energy() == pytest.approx(expected["energy"], abs=1e-8), name
        np.testing.assert_allclose(atoms.get_forces(), expected["forces"], rtol=0, atol=1e-8, err_msg=name)
        if expected["stress"] is not None and atoms.cell.volume > 0:
            np.testing.assert_allclose(
                atoms.get_stress(voigt=False), expected["stress"], rtol=0, atol=1e-9, err_msg=name
            )


def test_a_path_and_a_name_are_models(potential: Potential, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save(potential, path)
    expected = calculated(GPTFFCalculator(potential), crystal()).get_potential_energy()
    for model in (path, str(path), load_pretrained(path)):
        assert calculated(GPTFFCalculator(model), crystal()).get_potential_energy() == expected
    with pytest.raises(CheckpointError, match="gptff-v1, gptff-v2"):
        GPTFFCalculator("gptff-v0")


# -- ASE's conventions


def test_stress_in_voigt_order_by_finite_differences(potential: Potential) -> None:
    """xx, yy, zz, yz, xz, xy of (1/V) dE/dstrain: a crystal under pressure has a negative trace."""
    calculator = GPTFFCalculator(potential)
    atoms = calculated(calculator, crystal())
    stress = atoms.get_stress()
    step = 1e-5
    expected = []
    for row, column in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[row, column] += sign * step / 2
            strain[column, row] += sign * step / 2
            strained = crystal()
            strained.set_cell(strained.cell.array @ strain, scale_atoms=True)
            energies.append(calculated(calculator, strained).get_potential_energy())
        expected.append((energies[0] - energies[1]) / (2 * step) / atoms.get_volume())
    np.testing.assert_allclose(stress, expected, rtol=1e-6, atol=1e-9)
    assert len(set(np.round(stress, 9))) == 6  # all different: an order could not be mistaken
    np.testing.assert_allclose(full_3x3_to_voigt_6_stress(voigt_6_to_full_3x3_stress(stress)), stress)


def test_the_pressure_of_a_squeezed_crystal_is_positive(shared_data: Path) -> None:
    calculator = GPTFFCalculator(shared_data / "pretrained" / "gptff_v1.pth")
    squeezed = calculated(calculator, bulk("NaCl", "rocksalt", a=5.0))
    stretched = calculated(calculator, bulk("NaCl", "rocksalt", a=6.3))
    pressure = [-atoms.get_stress()[:3].mean() / units.GPa for atoms in (squeezed, stretched)]
    assert 5 < pressure[0] < 100  # GPa
    assert -20 < pressure[1] < -0.1


def test_without_a_volume_there_is_no_stress(potential: Potential) -> None:
    flat = Atoms("NaCl", positions=[[0, 0, 0], [2, 1, 0]], cell=[[5, 0, 0], [0, 5, 0], [5, 5, 0]], pbc=False)
    for atoms in (molecule("CH3OH"), flat):
        atoms = calculated(GPTFFCalculator(potential), atoms)
        atoms.get_potential_energy()
        with pytest.raises(PropertyNotImplementedError, match="give the atoms a cell with a volume"):
            atoms.get_stress()
        assert np.isfinite(atoms.get_forces()).all()
        assert "stress" not in atoms.calc.results


def test_atomic_energies_only_where_the_model_has_them(potential: Potential) -> None:
    atoms = calculated(GPTFFCalculator(potential), crystal())
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
    calculator = GPTFFCalculator(make_potential(readout="pooled"))
    assert "energies" not in calculator.implemented_properties
    with pytest.raises(PropertyNotImplementedError):
        calculated(calculator, crystal()).get_potential_energies()
    assert "energies" in GPTFFCalculator(potential).implemented_properties  # nothing is shared between calculators


@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, False), (False, True, False), (True, True, True)])
def test_periodic_directions_are_honoured(pbc: tuple[bool, bool, bool], potential: Potential) -> None:
    """What is open is as if surrounded by vacuum."""
    atoms = crystal()
    atoms.pbc = pbc
    surrounded = atoms.copy()
    vectors = surrounded.cell.array.copy()
    vectors[~np.array(pbc)] *= 20
    surrounded.set_cell(vectors, scale_atoms=False)
    surrounded.pbc = True
    calculator = GPTFFCalculator(potential)
    one, other = calculated(calculator, atoms), calculated(calculator, surrounded)
    assert one.get_potential_energy() == pytest.approx(other.get_potential_energy(), abs=1e-11)
    np.testing.assert_allclose(one.get_forces(), other.get_forces(), atol=1e-11)


def test_each_periodic_direction_matters(potential: Potential) -> None:
    calculator = GPTFFCalculator(potential)
    energies = set()
    for number in range(8):
        atoms = crystal()
        atoms.pbc = [bool(number & 1), bool(number & 2), bool(number & 4)]
        energies.add(round(calculated(calculator, atoms).get_potential_energy(), 9))
    assert len(energies) == 8


# -- the skin


def trajectory(calculator: Calculator, atoms: Atoms, steps: int = 25) -> np.ndarray:
    """Positions of every step of hot, fast molecular dynamics."""
    atoms = calculated(calculator, atoms)
    thermalize_momenta(atoms, temperature_K=3000, rng=np.random.default_rng(5))
    dynamics = VelocityVerlet(atoms, timestep=3 * units.fs)
    frames = [atoms.get_positions()]
    for _ in range(steps):
        dynamics.run(1)
        frames.append(atoms.get_positions())
    return np.array(frames)


@pytest.mark.parametrize(
    ("make", "settings"),
    [(GPTFFConfig, {}), (GPTFFConfig.paper, {}), (GPTFFConfig.paper, {"envelope_exponent": None})],
    ids=["recommended", "paper", "no envelope"],
)
def test_molecular_dynamics_with_a_skin_is_that_without(
    make: Callable[..., GPTFFConfig], settings: dict[str, Any]
) -> None:
    """Also where a bond that lingers beyond the cutoff would be felt: without an envelope."""
    potential = make_potential(make, **settings)
    every_step, kept = GPTFFCalculator(potential, skin=0.0), GPTFFCalculator(potential, skin=0.6)
    expected, found = trajectory(every_step, crystal()), trajectory(kept, crystal())
    assert np.abs(expected[-1] - expected[0]).max() > 0.5  # Å: far enough for bonds to come and go
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert every_step.graph.n_searches == 26
    assert 1 < kept.graph.n_searches < 13


def test_a_cell_that_changes_with_a_skin_is_as_one_without(potential: Potential) -> None:
    every_step, kept = GPTFFCalculator(potential, skin=0.0), GPTFFCalculator(potential, skin=0.6)
    atoms = crystal()
    rng = np.random.default_rng(7)
    for _ in range(12):
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.01 * rng.normal(size=(3, 3))), scale_atoms=True)
        atoms.positions += 0.02 * rng.normal(size=atoms.positions.shape)
        one, other = calculated(every_step, atoms), calculated(kept, atoms)
        assert one.get_potential_energy() == pytest.approx(other.get_potential_energy(), abs=1e-11)
        np.testing.assert_allclose(one.get_stress(), other.get_stress(), atol=1e-12)
    assert kept.graph.n_searches < every_step.graph.n_searches


def test_nothing_is_searched_where_nothing_moved(potential: Potential) -> None:
    atoms = calculated(GPTFFCalculator(potential), crystal())
    atoms.get_potential_energy()
    atoms.get_forces()
    atoms.get_stress()
    assert atoms.calc.graph.n_searches == 1


# -- other atoms from call to call


def change_numbers(atoms: Atoms) -> None:
    atoms.numbers[0] = 19


def swap_numbers(atoms: Atoms) -> None:
    atoms.numbers = atoms.numbers[::-1]


def shrink_cell(atoms: Atoms) -> None:
    atoms.set_cell(atoms.cell.array * 0.9, scale_atoms=False)


def open_boundary(atoms: Atoms) -> None:
    atoms.pbc = (True, False, True)


def remove_atom(atoms: Atoms) -> None:
    del atoms[3]


def add_atom(atoms: Atoms) -> None:
    atoms += Atoms("Li", positions=[[1.4, 1.4, 1.4]])


def move_by_a_cell(atoms: Atoms) -> None:
    atoms.positions[1] += atoms.cell.array[0] - 2 * atoms.cell.array[2]


CHANGES = (change_numbers, swap_numbers, shrink_cell, open_boundary, remove_atom, add_atom, move_by_a_cell)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_changes_between_calls(change: Callable[[Atoms], None], potential: Potential) -> None:
    atoms = calculated(GPTFFCalculator(potential), crystal())
    before = atoms.get_potential_energy()
    change(atoms)
    fresh = calculated(GPTFFCalculator(potential), atoms)
    assert atoms.get_potential_energy() == pytest.approx(fresh.get_potential_energy(), abs=1e-11)
    np.testing.assert_allclose(atoms.get_forces(), fresh.get_forces(), atol=1e-11)
    if change is move_by_a_cell:
        assert atoms.get_potential_energy() == pytest.approx(before, abs=1e-11)
    else:
        assert atoms.get_potential_energy() != pytest.approx(before, abs=1e-6)


# -- bad input


def test_an_element_without_parameters_is_named_at_every_call(potential: Potential) -> None:
    potential.model.elements = potential.model.elements - {19}
    atoms = calculated(GPTFFCalculator(potential), crystal())
    atoms.get_potential_energy()
    atoms.symbols[2] = "K"
    for _ in range(3):
        with pytest.raises(UnsupportedElementError, match=r"atom 2 is K \(Z = 19\)"):
            atoms.get_potential_energy()
    atoms.symbols[2] = "Na"
    atoms.get_potential_energy()


def test_a_position_that_is_not_a_number_is_named_at_every_call(potential: Potential) -> None:
    atoms = calculated(GPTFFCalculator(potential), crystal())
    energy = atoms.get_potential_energy()
    good = atoms.positions[5].copy()
    atoms.positions[5] = np.nan
    for _ in range(2):
        with pytest.raises(NonFiniteError, match="atom 5"):
            atoms.get_forces()
    atoms.positions[5] = good
    assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-12)


# -- the user's objects


def test_the_potential_that_is_given_stays_as_it_was() -> None:
    potential = make_potential().float().train()
    calculator = GPTFFCalculator(potential, dtype=torch.float64)
    calculated(calculator, crystal()).get_forces()
    assert potential.training
    assert potential.model.dtype == torch.float32
    assert all(parameter.requires_grad and parameter.grad is None for parameter in potential.parameters())
    assert calculator.potential.model.dtype == torch.float64
    before = calculated(calculator, crystal()).get_potential_energy()
    with torch.no_grad():
        for parameter in potential.parameters():
            parameter.zero_()
    assert calculated(calculator, crystal()).get_potential_energy() == before


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_are_arrays_in_double_precision(dtype: torch.dtype, potential: Potential) -> None:
    atoms = calculated(GPTFFCalculator(potential, dtype=dtype), crystal())
    atoms.get_stress()
    results = atoms.calc.results
    assert isinstance(results["energy"], float)
    for name, shape in {"forces": (8, 3), "stress": (6,), "energies": (8,)}.items():
        assert results[name].dtype == np.float64, name
        assert results[name].shape == shape, name


def test_single_precision_is_near(potential: Potential) -> None:
    exact = calculated(GPTFFCalculator(potential), crystal())
    rounded = calculated(GPTFFCalculator(potential, dtype=torch.float32), crystal())
    assert abs(rounded.get_potential_energy() - exact.get_potential_energy()) < 2e-6 * len(exact)
    np.testing.assert_allclose(rounded.get_forces(), exact.get_forces(), rtol=0, atol=1e-5)


def test_a_backend_can_be_chosen(potential: Potential) -> None:
    energies = {
        calculated(GPTFFCalculator(potential, backend=backend), crystal()).get_potential_energy()
        for backend in (None, "vesin", "torch", "ase")
    }
    assert max(energies) - min(energies) < 1e-11


# -- references and uncertainty


def test_energies_in_the_reference_of_a_source(potential: Potential) -> None:
    potential.references = {"acwf": {11: -10.0, 17: -20.0}}
    atoms = calculated(GPTFFCalculator(potential, reference="acwf"), crystal())
    before = potential.reference
    assert before is None  # a copy is used
    expected = deepcopy(potential).use_reference("acwf").predict([crystal()])[0]
    assert atoms.get_potential_energy() == pytest.approx(expected.energy.item(), abs=1e-12)
    with pytest.raises(UnknownReferenceError, match="there are: acwf"):
        GPTFFCalculator(potential, reference="pbe")


def test_the_uncertainty_of_a_committee(tmp_path: Path) -> None:
    potential = make_potential(num_readouts=3)
    atoms = calculated(GPTFFCalculator(potential), crystal())
    expected = potential.predict([crystal()], energy_std=True, forces_std=True)[0]
    energy = atoms.get_potential_energy()
    assert atoms.calc.results["energy_std"] == pytest.approx(expected.energy_std.item(), abs=1e-12)
    assert "forces_std" not in atoms.calc.results
    np.testing.assert_allclose(atoms.calc.get_property("forces_std", atoms), expected.forces_std.numpy(), atol=1e-12)
    assert atoms.get_potential_energy() == energy
    write(tmp_path / "crystal.extxyz", atoms)
    with Trajectory(tmp_path / "crystal.traj", "w", atoms) as trajectory:
        trajectory.write()
    assert read(tmp_path / "crystal.traj").get_potential_energy() == pytest.approx(energy)


def test_properties_can_be_exported() -> None:
    """ASE knows no uncertainties, and refused all of the results for their sake."""
    atoms = calculated(GPTFFCalculator(make_potential(num_readouts=3)), crystal())
    atoms.get_stress()
    assert "energy_std" in atoms.calc.results
    exported = atoms.calc.export_properties()
    assert {"energy", "free_energy", "forces", "stress", "energies", "natoms"} == set(exported)
    assert exported["energy"] == atoms.get_potential_energy()
    np.testing.assert_array_equal(exported["forces"], atoms.get_forces())


def test_one_readout_knows_no_uncertainty(potential: Potential) -> None:
    atoms = calculated(GPTFFCalculator(potential), crystal())
    with pytest.raises(PropertyNotImplementedError):
        atoms.calc.get_property("forces_std", atoms)


def test_elements_never_seen_together_warn_once(potential: Potential) -> None:
    potential.seen_pairs = frozenset({(11, 29)})
    atoms = calculated(GPTFFCalculator(potential), crystal())
    with pytest.warns(UnfamiliarCompositionWarning, match="Na–Cl"):
        atoms.get_potential_energy()
    atoms.rattle(0.01)
    atoms.get_potential_energy()  # warnings are errors
