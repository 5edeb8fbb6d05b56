"""The ``vesin`` backend: a compiled cell list, the default on the CPU."""

from __future__ import annotations

from numpy.typing import NDArray
from torch import Tensor

from torch_gptff.graph.neighbors.per_structure import for_each_structure


def find_pairs(pos: Tensor, cell: Tensor, pbc: Tensor, batch: Tensor, cutoff: float) -> tuple[Tensor, Tensor, Tensor]:
    """See :data:`torch_gptff.graph.neighbors.Backend`."""
    from vesin import NeighborList

    search = NeighborList(cutoff=cutoff, full_list=True, sorted=True)

    def find_one(pos: NDArray, cell: NDArray, pbc: NDArray, cutoff: float) -> tuple[NDArray, NDArray, NDArray]:
        centre, neighbour, shift = search.compute(points=pos, box=cell, periodic=pbc, quantities="ijS")
        return centre, neighbour, shift

    return for_each_structure(find_one, pos, cell, pbc, batch, cutoff)
