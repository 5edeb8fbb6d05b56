"""Strains, changes of volume, displacements and collisions."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from numpy.random import Generator
from numpy.typing import NDArray

NEIGHBOURS = 1.6
"""Largest distance of neighbours, divided by the sum of their covalent radii."""


def strained(atoms: Atoms, std: float, rng: Generator) -> Atoms:
    """A copy with a random symmetric strain, whose components have this standard deviation, within its periods."""
    strain = rng.normal(0, std, (3, 3))
    strain = np.tril(strain) + np.tril(strain, -1).T
    return deformed(atoms, strain)


def rescaled(atoms: Atoms, factor: float) -> Atoms:
    """A copy whose volume (area, length) of the periods is ``factor`` times the old one."""
    return deformed(atoms, (factor ** (1 / max(1, int(atoms.pbc.sum()))) - 1) * np.eye(3))


def rattled(atoms: Atoms, std: float, rng: Generator) -> Atoms:
    """A copy with normal displacements of this standard deviation in Å along each axis."""
    copy = atoms.copy()
    copy.positions += rng.normal(0, std, (len(atoms), 3))
    return copy


def collided(atoms: Atoms, distances: tuple[float, float], rng: Generator) -> Atoms | None:
    """A copy in which a random atom and one of its neighbours stand at a given distance, each moved by half of the way.

    Args:
        atoms: structure to change
        distances: least and greatest distance at the end, as a fraction of the sum of covalent radii
        rng: chooses the atom, the neighbour, one of those within :data:`NEIGHBOURS` times that sum, and the distance

    Returns:
        ``None`` where an atom has no neighbour
    """
    radii = covalent_radii[atoms.numbers]
    atom = int(rng.integers(len(atoms)))
    i, j, vectors = neighbor_list("ijD", atoms, NEIGHBOURS * radii)
    neighbours = np.flatnonzero((i == atom) & (j != atom))
    if not len(neighbours):
        return None
    chosen = int(rng.choice(neighbours))
    touching = radii[atom] + radii[j[chosen]]
    copy = atoms.copy()
    length = np.linalg.norm(vectors[chosen])
    move = vectors[chosen] * (1 - rng.uniform(*distances) * touching / length) / 2
    copy.positions[atom] += move
    copy.positions[j[chosen]] -= move
    return copy


def repeated(atoms: Atoms, n_atoms: int) -> Atoms:
    """A supercell with at least this number of atoms, doubled along its shortest period until then."""
    copy = atoms.copy()
    while len(copy) < n_atoms and copy.pbc.any():
        lengths = np.where(copy.pbc, copy.cell.lengths(), np.inf)
        copy = copy.repeat([2 if axis == lengths.argmin() else 1 for axis in range(3)])
    return copy


def deformed(atoms: Atoms, strain: NDArray[np.float64]) -> Atoms:
    """A copy with ``r → r (1 + ε)``, of which what leads out of the space of the periods is left away.

    A slab is strained in its plane, a chain along its axis, and a molecule not at all.
    """
    periods = atoms.cell.array[atoms.pbc]
    project = np.linalg.pinv(periods) @ periods if len(periods) else np.zeros((3, 3))
    gradient = np.eye(3) + project @ strain @ project
    copy = atoms.copy()
    copy.set_cell(atoms.cell.array @ gradient)
    copy.positions = atoms.positions @ gradient
    return copy
