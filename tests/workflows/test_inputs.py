"""Every workflow takes every kind of structure, and everything that gives energies and forces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from pymatgen.core import Element, Lattice, Structure

from torch_gptff import GPTFF, CrystalData, GPTFFConfig, Potential, save
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.errors import GPTFFError, GraphError, PartialOccupancyError
from torch_gptff.workflows import (
    MolecularDynamicsSettings,
    diffraction_pattern,
    elastic_tensor,
    equation_of_state,
    evaluate_many,
    molecular_dynamics,
    phonon_spectrum,
    relax,
    relax_many,
    vacancy_formation,
)
from torch_gptff.workflows.inputs import as_atoms, as_calculator


@pytest.fixture(scope="module")
def potential() -> Potential:
    torch.manual_seed(0)
    return Potential(GPTFF(GPTFFConfig(channels=8, num_layers=1, num_radial=4))).double()


@pytest.fixture(scope="module")
def sodium() -> Atoms:
    return bulk("Na", "bcc", a=4.2)


def short_run(structure: Any, calculator: Any, folder: Path) -> float:
    settings = MolecularDynamicsSettings(steps=2, interval=1, restart_interval=1)
    run = molecular_dynamics(structure, calculator, settings, trajectory=folder / "md.traj")
    return float(run.potential_energy[-1])


def relaxed_together(structure: Any, calculator: Any) -> float:
    ((_, relaxation),) = relax_many([structure], calculator, max_steps=2)
    assert not isinstance(relaxation, GPTFFError)
    return relaxation.energy


WORKFLOWS: dict[str, Callable[[Any, Any, Path], float]] = {
    "relax": lambda structure, calculator, _: relax(structure, calculator, max_steps=2).energy,
    "relax_many": lambda structure, calculator, _: relaxed_together(structure, calculator),
    "evaluate_many": lambda structure, calculator, _: evaluate_many([structure], calculator)[0].energy,
    "equation_of_state": lambda structure, calculator, _: float(equation_of_state(structure, calculator).energies[0]),
    "elastic_tensor": lambda structure, calculator, _: float(
        elastic_tensor(structure, calculator, relax_positions=False).stiffness[0, 0]
    ),
    "phonon_spectrum": lambda structure, calculator, _: (
        phonon_spectrum(structure, calculator, supercell=(2, 2, 2), mesh_density=20, band_density=5).lowest_frequency
    ),
    "vacancy_formation": lambda structure, calculator, _: (
        vacancy_formation(structure, calculator, supercell=(2, 2, 2), relax_positions=False).vacancies[0].energy
    ),
    "molecular_dynamics": short_run,
}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_take_what_the_others_take(name: str, potential: Potential, sodium: Atoms, tmp_path: Path) -> None:
    workflow, path = WORKFLOWS[name], tmp_path / "model.safetensors"
    save(potential, path)
    expected = workflow(sodium, GPTFFCalculator(potential, device="cpu"), tmp_path)
    record = CrystalData.from_ase(sodium)
    cases = [(record, potential), (record.to_pymatgen(), potential), (sodium, path), (record.to_pymatgen(), str(path))]
    for number, (structure, calculator) in enumerate(cases):
        folder = tmp_path / str(number)
        assert workflow(structure, calculator, folder) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    with pytest.raises(GPTFFError, match="a list gives no energies and forces"):
        workflow(sodium, [], tmp_path / "list")
    with pytest.raises(GPTFFError, match="a GPTFF gives no energies and forces: pass an ASE calculator, a Potential"):
        workflow(sodium, potential.model, tmp_path / "model")
    with pytest.raises(GPTFFError, match="nothing gives energies and forces"):
        workflow(record, None, tmp_path / "none")
    with pytest.raises(GraphError, match="cannot make a crystal of a str"):
        workflow("NaCl.cif", potential, tmp_path / "name")


def test_powder_patterns_of_any_structure(sodium: Atoms) -> None:
    expected = diffraction_pattern(sodium)
    for structure in (CrystalData.from_ase(sodium), CrystalData.from_ase(sodium).to_pymatgen()):
        np.testing.assert_allclose(diffraction_pattern(structure).intensities, expected.intensities)


def test_what_is_given_as_it_is_needed_is_given_back(potential: Potential, sodium: Atoms) -> None:
    calculator = GPTFFCalculator(potential, device="cpu")
    assert as_atoms(sodium) is sodium
    assert as_calculator(calculator) is calculator


def test_isotopes_keep_their_masses_and_shared_sites_are_refused() -> None:
    heavy = Structure(Lattice.cubic(3), [Element("D"), Element("O")], [[0, 0, 0], [0.5, 0.5, 0.5]])
    atoms = as_atoms(heavy)
    assert atoms.get_masses()[0] == pytest.approx(2.014, abs=1e-3)
    assert atoms.numbers.tolist() == [1, 8]
    with pytest.raises(PartialOccupancyError):
        as_atoms(Structure(Lattice.cubic(3), [{"Na": 0.5, "K": 0.5}], [[0, 0, 0]]))
