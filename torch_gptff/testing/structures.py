"""Small structures that break things: each a function that returns ASE ``Atoms``, each for one reason.

:data:`STRUCTURES` has them all by name. Lengths are in Å.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import cycle

import numpy as np
from ase import Atoms
from ase.build import fcc100, molecule


def rattled_crystal() -> Atoms:
    """SrTiO3 out of its symmetry, its cell smaller than usual cutoffs: several elements, several bonds of one pair."""
    positions = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    atoms = Atoms("SrTiO3", scaled_positions=positions, cell=[3.905, 3.95, 4.0], pbc=True)
    atoms.rattle(0.1, seed=1)
    return atoms


def one_atom_cell() -> Atoms:
    """Copper, sheared: every neighbour is an image of the atom itself, and no force acts though the stress is large."""
    return Atoms("Cu", cell=[[0.1, 1.8, 1.75], [1.9, -0.1, 1.8], [1.8, 1.7, 0.2]], pbc=True)


def isolated_atom() -> Atoms:
    """Argon alone: no bond, no cell."""
    return Atoms("Ar", positions=[[0.3, -0.2, 0.1]])


def pair(distance: float = 2.6) -> Atoms:
    """Sodium and chlorine: one bond each, so no angle."""
    direction = np.array([0.6, 0.48, 0.64])
    return Atoms("NaCl", positions=[[0, 0, 0], distance * direction])


def crystal_without_angles() -> Atoms:
    """CsCl, sheared: many bonds within 5 Å, of which no two are within the 3.5 Å of angles."""
    return Atoms(
        "CsCl", positions=[[0, 0, 0], [2.1, 2.05, 2.0]], cell=[[4.1, 0.1, 0], [0, 4.15, 0.1], [0, 0, 4.2]], pbc=True
    )


def linear_molecule() -> Atoms:
    """CO2: an angle of 180°, where the angle itself has no derivative."""
    return molecule("CO2")


def bent_molecule() -> Atoms:
    """Methanol, without a cell."""
    return molecule("CH3OH")


def slab() -> Atoms:
    """Three layers of aluminium, periodic in two directions, the third cell vector spanning a vacuum."""
    atoms = fcc100("Al", (1, 1, 3), vacuum=5.0)
    atoms.rattle(0.1, seed=2)
    return atoms


def layer_without_third_vector() -> Atoms:
    """A buckled layer of boron nitride whose third cell vector is zero: no volume, so no stress."""
    return Atoms(
        "BN", positions=[[0, 0, 0.2], [1.3, 0.7, -0.1]], cell=[[2.53, 0, 0], [1.2, 2.2, 0], [0, 0, 0]], pbc=(1, 1, 0)
    )


def wire() -> Atoms:
    """A zigzag of lithium and fluorine, periodic in one direction, which is not the first."""
    positions = [[4, 4, 0], [4.9, 4.3, 1.6]]
    return Atoms("LiF", positions=positions, cell=[8, 9, 3.1], pbc=(0, 0, 1))


def skewed_cell() -> Atoms:
    """MgO with badly chosen cell vectors: up to 10 Å long, and 0.6 Å from one face of the cell to the other."""
    compact = np.array([[0, 2.1, 2.15], [2.05, 0, 2.1], [2.15, 2.1, 0.1]])
    cell = np.array([[1, 0, 0], [2, 1, 0], [1, 2, 1]]) @ compact
    return Atoms("MgO", positions=[[0, 0, 0], [2.2, 0.2, -0.1]], cell=cell, pbc=True)


def left_handed_cell() -> Atoms:
    """Gallium arsenide with two cell vectors exchanged: the determinant is negative, the volume is not."""
    return Atoms(
        "GaAs", positions=[[0, 0, 0], [1.5, 1.4, 1.35]], cell=[[2.8, 0, 2.8], [0, 2.85, 2.8], [2.9, 2.8, 0]], pbc=True
    )


def atoms_outside_cell() -> Atoms:
    """Rock salt whose atoms are several cells away from the cell and from each other."""
    cell = np.array([[0, 2.8, 2.9], [2.85, 0, 2.8], [2.8, 2.75, 0.1]])
    return Atoms(
        "NaCl",
        positions=[[0.1, 0, -0.1] @ cell - 3 * cell[0], [0.45, 0.52, 0.5] @ cell + 5 * cell[2]],
        cell=cell,
        pbc=True,
    )


def far_apart_fragments(gap: float = 40.0) -> Atoms:
    """Two molecules out of each other's reach, without a cell: bonds that join no path between the two."""
    left, right = fragments(gap)
    return left + right


def fragments(gap: float = 40.0) -> tuple[Atoms, Atoms]:
    """The two molecules of :func:`far_apart_fragments`, where they stand in it."""
    left, right = bent_molecule(), pair()
    right.translate([gap, 0.5 * gap, 0])
    return left, right


def triplet(distance: float = 2.4) -> Atoms:
    """Oxygen between hydrogen and lithium at ``distance``: two bonds that form one angle."""
    return Atoms("OHLi", positions=[[0, 0, 0], [0.9, 0.3, 0], [-0.28 * distance, 0.96 * distance, 0]])


STRUCTURES: dict[str, Callable[[], Atoms]] = {
    build.__name__: build
    for build in (
        rattled_crystal,
        one_atom_cell,
        isolated_atom,
        pair,
        crystal_without_angles,
        linear_molecule,
        bent_molecule,
        slab,
        layer_without_third_vector,
        wire,
        skewed_cell,
        left_handed_cell,
        atoms_outside_cell,
        far_apart_fragments,
        triplet,
    )
}
"""Every structure of this file by its name."""


def with_elements(atoms: Atoms, supported: Collection[int]) -> Atoms:
    """The structure with elements outside ``supported`` replaced by supported ones, each by one of its own if it can.

    For models of a few elements: geometry is what these structures are about.
    """
    present = sorted(set(atoms.numbers.tolist()))
    spare = sorted(set(supported) - set(present)) or sorted(supported)
    replacement = dict(zip((z for z in present if z not in supported), cycle(spare), strict=False))
    changed = atoms.copy()
    changed.numbers = [replacement.get(z, z) for z in atoms.numbers.tolist()]
    return changed


def crossing(atoms: Atoms, radius: float) -> Callable[[float], Atoms]:
    """The structure with one distance led through ``radius``.

    Of the distances between different atoms, images counted, the one nearest to ``radius`` is taken, and one of its
    two atoms moved along it.

    Returns:
        A function of ``beyond`` in Å, which gives the structure with that distance at ``radius + beyond``.

    Raises:
        ValueError: no two different atoms are within twice the radius.
    """
    from ase.neighborlist import neighbor_list

    first, second, distances, vectors = neighbor_list("ijdD", atoms, 2 * radius)
    candidates = np.flatnonzero(first != second)
    if len(candidates) == 0:
        raise ValueError(f"no two different atoms of {atoms} are within {2 * radius} Å of each other")
    chosen = candidates[np.abs(distances[candidates] - radius).argmin()]
    direction = vectors[chosen] / distances[chosen]

    def at(beyond: float) -> Atoms:
        moved = atoms.copy()
        moved.positions[second[chosen]] += (radius + beyond - distances[chosen]) * direction
        return moved

    return at
