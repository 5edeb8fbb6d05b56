"""Derivatives of an energy by other ways than the package's own: what its forces and stress must agree with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from torch_gptff.graph import CrystalData
from torch_gptff.potential import Potential

Energies = Callable[[Sequence[Atoms]], np.ndarray]
"""The energies in eV, ``[S]``, of ``S`` structures."""


def numerical_forces(energies: Energies, atoms: Atoms, step: float = 3e-5) -> np.ndarray:
    """Forces in eV/Å, ``[N, 3]``, as central differences of the energy over ``2 · step`` Å; an error of order step²."""
    displaced = []
    for atom in range(len(atoms)):
        for axis in range(3):
            for sign in (1, -1):
                copy = atoms.copy()
                copy.positions[atom, axis] += sign * step
                displaced.append(copy)
    ahead, behind = energies(displaced).reshape(len(atoms), 3, 2).transpose(2, 0, 1)
    return (behind - ahead) / (2 * step)


def numerical_stress(energies: Energies, atoms: Atoms, step: float = 1e-5) -> np.ndarray:
    """Stress in eV/Å³, ``[3, 3]``, as central differences of the energy over symmetric strains."""
    components = [(row, column) for row in range(3) for column in range(row, 3)]
    deformed = []
    for row, column in components:
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[row, column] += sign * step / 2
            strain[column, row] += sign * step / 2
            deformed.append(strained(atoms, strain))
    ahead, behind = energies(deformed).reshape(6, 2).T
    stress = np.empty((3, 3))
    for (row, column), slope in zip(components, (ahead - behind) / (2 * step), strict=True):
        stress[row, column] = stress[column, row] = slope / atoms.get_volume()
    return stress


def strained(atoms: Atoms, strain: np.ndarray) -> Atoms:
    """The atoms and their cell under ``r → r (1 + strain)``."""
    copy = atoms.copy()
    copy.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=False)
    copy.positions = atoms.positions @ (np.eye(3) + strain)
    return copy


def strain_derivative(potential: Potential, atoms: Atoms) -> tuple[Tensor, Tensor]:
    """Forces in eV/Å, ``[N, 3]``, and stress in eV/Å³, ``[3, 3]``, by autograd through positions and cell.

    The textbook form: ``F = −∂E/∂R`` and ``σ = (1/V) ∂E/∂ε`` with ``r → r (1 + ε)``, ``ε`` a symmetric strain of
    positions and cell. The package takes both of one gradient by bond vectors instead.
    """
    graph = potential.model.build_graph(CrystalData.from_ase(atoms))
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    deformation = torch.eye(3, dtype=torch.float64) + (strain + strain.T) / 2
    pos = graph.pos.clone().requires_grad_()
    graph.pos, graph.cell = pos @ deformation, graph.cell @ deformation
    energy = potential.evaluate(graph, forces=False, stress=False).energy.sum()
    by_pos, by_strain = torch.autograd.grad(energy, (pos, strain), materialize_grads=True)
    return -by_pos, by_strain / abs(np.linalg.det(atoms.cell.array))


def potential_energies(potential: Potential) -> Energies:
    """The energies of a potential, evaluated as a batch."""

    def energies(structures: Sequence[Atoms]) -> np.ndarray:
        predictions = potential.predict(structures, forces=False, stress=False)
        return np.array([prediction.energy.item() for prediction in predictions])

    return energies
