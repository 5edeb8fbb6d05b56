"""The ``vesin`` backend: a compiled cell list, the default on the CPU.

It is asked about fully periodic boxes only, which every version of it searches in linear time: along an open direction
the box is longer than the structure by more than the cutoff, so that no image comes near.
"""

from __future__ import annotations

import torch
from numpy.typing import NDArray
from torch import Tensor

from torch_gptff.graph.checks import completed_cell, heights
from torch_gptff.graph.geometry import extents, fractional_coordinates
from torch_gptff.graph.neighbors import cell_list
from torch_gptff.graph.neighbors.per_structure import for_each_structure

MOST_BINS = 100_000
"""Largest number of bins. In larger boxes vesin coarsens its grid, and divides by zero (ending the process)."""


def find_pairs(pos: Tensor, cell: Tensor, pbc: Tensor, batch: Tensor, cutoff: float) -> tuple[Tensor, Tensor, Tensor]:
    """See :data:`torch_gptff.graph.neighbors.Backend`. Structures too large or too sparse for vesin use ``torch``."""
    box = completed_cell(cell.double(), pbc)
    if not bool(pbc.all()):
        box = _longer(box, pos.double(), pbc, batch, cutoff)
    if bool(((heights(box) / cutoff).clamp(min=1).prod(dim=-1) > MOST_BINS).any()):
        return cell_list.find_pairs(pos, cell, pbc, batch, cutoff)

    from vesin import NeighborList

    search = NeighborList(cutoff=cutoff, full_list=True, sorted=True)

    def find_one(pos: NDArray, box: NDArray, pbc: NDArray, cutoff: float) -> tuple[NDArray, NDArray, NDArray]:
        centre, neighbour, shift = search.compute(points=pos, box=box, periodic=True, quantities="ijS")
        return centre, neighbour, shift

    return for_each_structure(find_one, pos, box, pbc, batch, cutoff)


def _longer(cell: Tensor, pos: Tensor, pbc: Tensor, batch: Tensor, cutoff: float) -> Tensor:
    low, high = extents(fractional_coordinates(pos, cell, batch), batch, len(cell))
    return torch.where(pbc, torch.ones_like(low), high - low + 2 * cutoff).unsqueeze(-1) * cell
