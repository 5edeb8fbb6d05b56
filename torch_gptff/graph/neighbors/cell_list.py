"""The ``torch`` backend: cell lists in tensor operations, on any device, all structures of a batch at once.

Space is cut into bins no thinner than the cutoff (or, in a cell thinner than that, one bin); an atom's neighbours are
then in its own bin or in those around it. Work and memory grow linearly with the number of atoms; candidate pairs are
measured in chunks, so that memory stays near that of the result.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from torch_gptff.graph.checks import completed_cell, heights

CHUNK = 1 << 21
"""Candidate pairs measured at a time."""


@dataclass
class Bins:
    """Every atom's place in its structure's grid of bins.

    Attributes:
        coordinate: the atom's bin along each cell vector, ``[N, 3]``
        wrap: the cells between the atom and its image inside the cell, ``[N, 3]``
        shape: bins along each cell vector, by structure, ``[B, 3]``
        first: the number of the structure's first bin, ``[B]``
        order: atoms sorted by bin, ``[N]``
        occupied: the bin numbers of the atoms in that order, ascending, ``[N]``
    """

    coordinate: Tensor
    wrap: Tensor
    shape: Tensor
    first: Tensor
    order: Tensor
    occupied: Tensor


def find_pairs(pos: Tensor, cell: Tensor, pbc: Tensor, batch: Tensor, cutoff: float) -> tuple[Tensor, Tensor, Tensor]:
    """See :data:`torch_gptff.graph.neighbors.Backend`."""
    full_cell = completed_cell(cell, pbc)
    thickness = heights(full_cell)
    bins = assign_bins(pos, full_cell, thickness, pbc, batch, cutoff)
    reach = torch.where(pbc, (cutoff * bins.shape / thickness).ceil(), torch.ones_like(thickness)).long()
    n_around = (2 * reach + 1).prod(dim=-1)  # bins to look into, by structure

    found = []
    for atoms in _chunks(n_around[batch]):
        centre, image_bin, shift = bins_around(atoms, bins, reach, n_around, pbc, batch)
        lower = torch.searchsorted(bins.occupied, image_bin)
        count = torch.searchsorted(bins.occupied, image_bin, right=True) - lower
        some = count > 0
        centre, shift, lower, count = centre[some], shift[some], lower[some], count[some]
        for rows in _chunks(count):
            found.append(_pairs_within(rows, centre, shift, lower, count, bins, pos, cell, pbc, batch, cutoff))
    centre, neighbour, shift = (torch.cat(column) for column in zip(*found, strict=True))
    return centre, neighbour, shift


def assign_bins(pos: Tensor, cell: Tensor, thickness: Tensor, pbc: Tensor, batch: Tensor, cutoff: float) -> Bins:
    """Sort the atoms into bins. Along a direction without period the bins span the atoms that there are."""
    fractional = torch.einsum("nc,ncs->ns", pos, torch.linalg.inv(cell)[batch])
    index = batch.unsqueeze(-1).expand(-1, 3)
    low = torch.zeros_like(thickness).scatter_reduce(0, index, fractional, "amin", include_self=False)
    high = torch.zeros_like(thickness).scatter_reduce(0, index, fractional, "amax", include_self=False)
    low = torch.where(pbc, torch.zeros_like(low), low)
    span = torch.where(pbc, torch.ones_like(low), high - low)
    shape = (span * thickness / cutoff).floor().clamp(min=1).long()

    wrap = torch.where(pbc[batch], fractional.floor(), torch.zeros_like(fractional))
    inside = (fractional - wrap - low[batch]) / span[batch].clamp(min=1e-12)
    coordinate = (inside * shape[batch]).floor().long().clamp(min=torch.zeros_like(index), max=shape[batch] - 1)
    sizes = shape.prod(dim=-1)
    first = sizes.cumsum(0) - sizes
    occupied, order = _bin_number(coordinate, shape[batch], first[batch]).sort()
    return Bins(coordinate, wrap.to(torch.int32), shape, first, order, occupied)


def bins_around(
    atoms: Tensor, bins: Bins, reach: Tensor, n_around: Tensor, pbc: Tensor, batch: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The bins to look into for each atom: the atom, the bin's number, and the cells between."""
    structure = batch[atoms]
    row = torch.repeat_interleave(torch.arange(len(atoms), device=atoms.device), n_around[structure])
    atom, structure = atoms[row], structure[row]
    ends = n_around[batch[atoms]].cumsum(0)
    rank = torch.arange(len(row), device=atoms.device) - (ends - n_around[batch[atoms]])[row]
    width = 2 * reach[structure] + 1
    step = torch.stack(
        [rank // (width[:, 1] * width[:, 2]), rank // width[:, 2] % width[:, 1], rank % width[:, 2]], dim=-1
    )
    there = bins.coordinate[atom] + step - reach[structure]
    shape, periodic = bins.shape[structure], pbc[structure]
    shift = torch.where(periodic, there.div(shape, rounding_mode="floor"), torch.zeros_like(there))
    there = there - shift * shape
    exists = ((there >= 0) & (there < shape)).all(dim=-1)
    number = _bin_number(there, shape, bins.first[structure])
    return atom[exists], number[exists], shift[exists].to(torch.int32)


def _pairs_within(
    rows: Tensor,
    centre: Tensor,
    shift: Tensor,
    lower: Tensor,
    count: Tensor,
    bins: Bins,
    pos: Tensor,
    cell: Tensor,
    pbc: Tensor,
    batch: Tensor,
    cutoff: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Measure each (atom, bin) row's atom against the atoms of the bin, and keep the pairs within the cutoff."""
    row = torch.repeat_interleave(rows, count[rows])
    ends = count[rows].cumsum(0)
    rank = torch.arange(len(row), device=pos.device) - torch.repeat_interleave(ends - count[rows], count[rows])
    i, j = centre[row], bins.order[lower[row] + rank]
    cells_between = shift[row] - bins.wrap[j] + bins.wrap[i]
    offset = torch.einsum("es,esc->ec", cells_between.to(pos.dtype), cell[batch[i]])
    squared = (pos[j] - pos[i] + offset).square().sum(dim=-1)
    keep = (squared <= cutoff**2) & ((i != j) | (cells_between != 0).any(dim=-1))
    return i[keep], j[keep], cells_between[keep]


def _bin_number(coordinate: Tensor, shape: Tensor, first: Tensor) -> Tensor:
    x, y, z = coordinate.unbind(dim=-1)
    return first + (x * shape[:, 1] + y) * shape[:, 2] + z


def _chunks(cost: Tensor) -> list[Tensor]:
    """Consecutive positions of ``cost``, cut so that each piece costs about :data:`CHUNK`."""
    if len(cost) == 0:
        return []
    ends = cost.cumsum(0)
    piece = (ends - cost) // CHUNK
    sizes = torch.unique_consecutive(piece, return_counts=True)[1].tolist()
    return list(torch.arange(len(cost), device=cost.device).split(sizes))
