"""The ``ase`` backend: slow and independent of the others, which are tested against it."""

from __future__ import annotations

from numpy.typing import NDArray
from torch import Tensor

from torch_gptff.graph.checks import completed_cell
from torch_gptff.graph.neighbors.per_structure import for_each_structure


def find_pairs(pos: Tensor, cell: Tensor, pbc: Tensor, batch: Tensor, cutoff: float) -> tuple[Tensor, Tensor, Tensor]:
    """See :data:`torch_gptff.graph.neighbors.Backend`."""
    return for_each_structure(_find_one, pos, completed_cell(cell, pbc), pbc, batch, cutoff)


def _find_one(pos: NDArray, cell: NDArray, pbc: NDArray, cutoff: float) -> tuple[NDArray, NDArray, NDArray]:
    from ase.neighborlist import primitive_neighbor_list

    return primitive_neighbor_list("ijS", pbc, cell, pos, cutoff)
