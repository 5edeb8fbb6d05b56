"""Along which directions bonds hold a structure together: three in a crystal, two in a sheet or slab, one in a wire.

Where no bond crosses a cell, there is vacuum: nothing pulls or pushes there, and the stress, a force per area of the
whole cell, is the smaller the more of it there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from torch_gptff.calculators import potential_of
from torch_gptff.errors import EmptyStructureError, GPTFFError
from torch_gptff.graph.checks import check_geometry
from torch_gptff.graph.convert import from_ase
from torch_gptff.graph.neighbors import neighbor_list

REACH = 6.0
"""Å. Atoms that are farther apart count as not bonded, for a calculator that does not tell its own cutoff."""

THICKNESS = 3.0
"""Å that a sheet of atoms takes beyond the distance between its outermost ones: about the diameter of an atom."""

WORDS = ("single atoms or molecules", "a wire or chain", "a sheet or slab", "a crystal")
"""Names of structures by the dimension of their network of bonds."""


@dataclass(frozen=True)
class BondNetwork:
    """The directions that bonds hold together across periods.

    Attributes:
        dimension: 3 of a crystal, 2 of a sheet or slab, 1 of a wire, 0 of what no bond holds together
        projector: on these directions, ``[3, 3]``
        filling: the part of the cell's volume that atoms fill, of 1 without vacuum
    """

    dimension: int
    projector: NDArray[np.float64]
    filling: float

    def stress(self, stress: NDArray[np.float64]) -> NDArray[np.float64]:
        """Stress along the directions of the network, per volume that atoms fill, in the unit given, ``[3, 3]``."""
        return self.projector @ stress @ self.projector / self.filling


def reach_of(calculator: Any) -> float:
    """Å: the distance within which atoms are bonded for a calculator or a :class:`~torch_gptff.Potential`."""
    potential = potential_of(calculator)
    cutoff = REACH if potential is None else float(potential.model.cutoff)
    return cutoff if isfinite(cutoff) else REACH


def bond_network(atoms: Atoms, reach: float) -> BondNetwork:
    """Find the directions that bonds hold together across the periods of a structure.

    Args:
        atoms: with a cell of three vectors
        reach: Å, of bonds

    Raises:
        StructureError: the geometry makes no sense, see :func:`~torch_gptff.graph.checks.check_geometry`.
    """
    data = from_ase(atoms)
    check_geometry(data)
    (neighbours, centres), shifts, _ = (each.numpy() for each in neighbor_list(data, reach))
    offsets, components = _unwrapped(len(atoms), centres, neighbours, shifts)
    cell = atoms.cell.array
    loops = (offsets[centres] + shifts - offsets[neighbours]) @ cell  # from an atom to its own image, along bonds
    sizes, directions = np.linalg.eigh(loops.T @ loops)
    bonded = sizes > 1e-10 * max(sizes[-1], 1e-10)
    dimension = int(bonded.sum())
    if dimension == 3:
        return BondNetwork(3, np.eye(3), 1.0)
    along, across = directions.T[bonded], directions.T[~bonded]
    unwrapped = (atoms.positions + offsets @ cell) @ across.T
    taken = sum(_extent(unwrapped[components == number]) for number in range(components.max() + 1))
    filling = min(1.0, taken / _period(cell @ across.T))
    return BondNetwork(dimension, np.round(along.T @ along, 12), filling)


def require_crystal(atoms: Atoms, what: str, error: type[GPTFFError], calculator: Any = None) -> None:
    """Refuse a structure that is no crystal.

    Args:
        atoms: the structure
        what: what is asked for, for the message: ``"an elastic tensor"``
        error: class of the error
        calculator: of the structure, whose reach of bonds is used to refuse a periodic structure that vacuum cuts
            through; ``None`` to accept such a structure

    Raises:
        EmptyStructureError: there are no atoms.
        GPTFFError: the structure is not periodic in three directions, or bonds do not hold it together along three
            directions; of the class ``error``.
    """
    if len(atoms) == 0:
        raise EmptyStructureError("the structure has no atoms")
    if not atoms.pbc.all() or atoms.cell.rank < 3:
        raise error(f"{what} needs a crystal, periodic in three directions")
    if calculator is None:
        return
    reach = reach_of(calculator)
    dimension = bond_network(atoms, reach).dimension
    if dimension < 3:
        raise error(
            f"{what} needs a crystal, and this is {WORDS[dimension]} in vacuum: no bond of up to {reach:g} Å "
            "crosses the cell along some direction, so that what is measured per volume would depend on the vacuum"
        )


def _unwrapped(
    n_atoms: int, centres: NDArray[np.int64], neighbours: NDArray[np.int64], shifts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells by which atoms are moved so that bonds connect them, ``[N, 3]``, and the number of the part that each is
    of, ``[N]``."""
    pairs, places = np.unique(centres * n_atoms + neighbours, return_index=True)
    ones = np.ones(len(pairs))
    graph = coo_array((ones, (pairs // n_atoms, pairs % n_atoms)), shape=(n_atoms, n_atoms))
    _, parts = connected_components(graph, directed=False)
    firsts = np.unique(parts, return_index=True)[1]
    # one tree of all parts: a root that is no atom is joined to the first atom of each
    rows, columns = (np.concatenate(each) for each in ((graph.row, np.full(len(firsts), n_atoms)), (graph.col, firsts)))
    rooted = coo_array((np.ones(len(rows)), (rows, columns)), shape=(n_atoms + 1, n_atoms + 1)).tocsr()
    order, before = breadth_first_order(rooted, n_atoms)
    offsets = np.zeros((n_atoms + 1, 3), dtype=np.int64)
    for atom in order[1:]:
        if before[atom] < n_atoms:
            bond = places[np.searchsorted(pairs, before[atom] * n_atoms + atom)]
            offsets[atom] = offsets[before[atom]] + shifts[bond]
    return offsets[:n_atoms], parts


def _extent(places: NDArray[np.float64]) -> float:
    """The length or area that atoms take across a network, from their places across it, ``[N, 1]`` or ``[N, 2]``."""
    centred = places - places.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=True)
    return float(np.prod(np.ptp(centred @ axes.T, axis=0) + THICKNESS))


def _period(heights: NDArray[np.float64]) -> float:
    """The length or area across a network that belongs to one cell, from the parts of its vectors across it,
    ``[3, 1]`` or ``[3, 2]``."""
    if heights.shape[1] == 1:
        sizes = np.abs(heights[:, 0])
    elif heights.shape[1] == 2:
        sizes = np.abs([np.linalg.det(heights[[i, j]]) for i, j in ((0, 1), (0, 2), (1, 2))])
    else:
        return float(abs(np.linalg.det(heights)))
    return float(sizes[sizes > 1e-6 * sizes.max()].min())
