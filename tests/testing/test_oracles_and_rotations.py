"""The references that the suite compares with, against closed forms; and that pytest is asked for by nobody else."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

import torch_gptff
from torch_gptff.testing.oracles import numerical_forces, numerical_stress
from torch_gptff.testing.rotations import ROTATIONS
from torch_gptff.testing.structures import STRUCTURES


def springs(structures) -> np.ndarray:
    """``½ |r|²`` of every atom."""
    return np.array([0.5 * (atoms.positions**2).sum() for atoms in structures])


def test_forces_of_springs():
    atoms = STRUCTURES["bent_molecule"]()
    np.testing.assert_allclose(numerical_forces(springs, atoms), -atoms.positions, atol=1e-9)


def test_stress_of_springs():
    """``dE/dε = Σ r ⊗ r`` for ``r → r (1 + ε)``."""
    atoms = STRUCTURES["rattled_crystal"]()
    expected = atoms.positions.T @ atoms.positions / atoms.get_volume()
    np.testing.assert_allclose(numerical_stress(springs, atoms), expected, atol=1e-9)


def test_stress_of_a_pressure():
    """``E = p V`` is the stress ``p`` in every direction, and no shear."""

    def energies(structures):
        return np.array([0.3 * atoms.get_volume() for atoms in structures])

    atoms = Atoms("Cu", cell=[[2, 0, 0], [1, 3, 0], [0, 1, -4]], pbc=True)
    np.testing.assert_allclose(numerical_stress(energies, atoms), 0.3 * np.eye(3), atol=1e-9)


def test_e3nn_is_used_where_it_is_installed():
    pytest.importorskip("e3nn", reason="e3nn is not installed")
    assert set(ROTATIONS) == {"qr", "e3nn"}


@pytest.mark.parametrize("source", ROTATIONS)
def test_rotations_are_proper_uniform_and_by_the_seed(source):
    rotations = np.array([ROTATIONS[source](seed) for seed in range(600)])
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (600, 3, 3)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-12)
    np.testing.assert_allclose(rotations.mean(axis=0), 0, atol=0.12)  # 5 standard deviations of sqrt(1/3/600)
    assert np.array_equal(ROTATIONS[source](3), ROTATIONS[source](3))


def test_no_module_outside_of_testing_imports_pytest():
    package = Path(torch_gptff.__file__).parent
    importing = {path.relative_to(package).parts[0] for path in package.rglob("*.py") if "pytest" in imports(path)}
    assert importing == {"testing"}


def imports(path: Path) -> set[str]:
    """The packages that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.split(".")[0] for name in names}
