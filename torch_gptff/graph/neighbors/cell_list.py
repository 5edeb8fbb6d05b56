"""The ``torch`` backend: cell lists in tensor operations, on any device, all structures of a batch at once.

Space is cut into bins no thinner than the cutoff (a periodic cell thinner than that is one bin), so that the neighbours
of an atom are in its own bin or in those around it. Every pair is found from one of its two ends and then turned round.
Work and memory grow linearly with the number of atoms: nothing is stored of empty bins, and candidate pairs are
measured piece by piece, so that memory stays near that of the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from torch_gptff.graph.checks import completed_cell, heights
from torch_gptff.graph.geometry import extents, fractional_coordinates
from torch_gptff.graph.ragged import chunks, ragged_range

CANDIDATES = 1 << 19
"""Number of pairs of atoms that are measured at once."""

MOST_BINS = 1 << 62
"""Largest number of bins in all grids of a batch, limited by int64; bins are thicker where more were needed."""


@dataclass
class Grid:
    """Division of the space of every structure into bins.

    Attributes:
        cell: vectors along which space is divided, Å, ``[B, 3, 3]``
        pbc: whether each vector is a period, ``[B, 3]``
        shape: number of bins along each vector, ``[B, 3]``
        reach: largest distance of a neighbour, in bins, ``[B, 3]``
        low: beginning of the bins, as a fraction of the vector, ``[B, 3]``
        span: extent of the bins, as a fraction of the vector, ``[B, 3]``
    """

    cell: Tensor
    pbc: Tensor
    shape: Tensor
    reach: Tensor
    low: Tensor
    span: Tensor

    def number(self, bins: Tensor, structure: Tensor) -> Tensor:
        """One number for every bin of every structure, from its places along the vectors, ``[M, 3]``."""
        size = self.shape.prod(dim=-1)
        x, y, z = bins.unbind(dim=-1)
        _, n_y, n_z = self.shape[structure].unbind(dim=-1)
        return (size.cumsum(0) - size)[structure] + (x * n_y + y) * n_z + z


@dataclass
class Bins:
    """The ``M`` bins that hold atoms, and the atoms in the order of their bins.

    Attributes:
        number: number of every bin, ascending, ``[M]``
        place: place of the bin along each cell vector, ``[M, 3]``
        structure: structure of the bin, ``[M]``
        first: place of its first atom in ``atom``, ``[M]``
        count: number of its atoms, ``[M]``
        atom: atoms sorted by bin, ``[N]``
        pos: the positions of their images inside the cell in Å, in that order, ``[N, 3]``
        wrap: the cells between atom and image, in that order, ``[N, 3]``
    """

    number: Tensor
    place: Tensor
    structure: Tensor
    first: Tensor
    count: Tensor
    atom: Tensor
    pos: Tensor
    wrap: Tensor


def find_pairs(pos: Tensor, cell: Tensor, pbc: Tensor, batch: Tensor, cutoff: float) -> tuple[Tensor, Tensor, Tensor]:
    """See :data:`torch_gptff.graph.neighbors.Backend`. Computes in float64."""
    pos, cell = pos.double(), completed_cell(cell.double(), pbc)
    grid = lay_grid(pos, cell, pbc, batch, cutoff)
    bins = fill_bins(grid, pos, batch)
    first, second, cells = zip(*_half_of_pairs(grid, bins, cutoff), strict=True)
    back = [-cells_between for cells_between in cells]
    return torch.cat([*first, *second]), torch.cat([*second, *first]), torch.cat([*cells, *back])


def lay_grid(pos: Tensor, cell: Tensor, pbc: Tensor, batch: Tensor, cutoff: float) -> Grid:
    """Cut every structure's cell into bins; along a direction without period, the extent of its atoms."""
    low, high = extents(fractional_coordinates(pos, cell, batch), batch, len(cell))
    low, high = low.where(~pbc, torch.zeros_like(low)), high.where(~pbc, torch.ones_like(high))
    span = high - low
    thickness = heights(cell)
    most = int((MOST_BINS / len(cell)) ** (1 / 3))
    shape = (span * thickness / cutoff).floor().clamp(min=1, max=most)
    reach = (cutoff * shape / thickness).ceil().where(pbc, torch.ones_like(shape))
    return Grid(cell, pbc, shape.long(), reach.long(), low, span.where(span > 0, torch.ones_like(span)))


def fill_bins(grid: Grid, pos: Tensor, batch: Tensor) -> Bins:
    """Sort the atoms, or their images inside the cell, into bins."""
    fractional = fractional_coordinates(pos, grid.cell, batch)
    wrap = fractional.floor().where(grid.pbc[batch], torch.zeros_like(fractional))
    inside = (fractional - wrap - grid.low[batch]) / grid.span[batch]
    shape = grid.shape[batch]
    place = (inside * shape).long().clamp(min=torch.zeros_like(shape), max=shape - 1)

    number, atom = grid.number(place, batch).sort()
    number, count = torch.unique_consecutive(number, return_counts=True)
    first = count.cumsum(0) - count
    pos, wrap, place, structure = pos[atom], wrap[atom], place[atom[first]], batch[atom]
    pos = pos - _cartesian(wrap, grid.cell, structure)
    return Bins(number, place, structure[first], first, count, atom, pos, wrap.to(torch.int32))


def bins_around(some: Tensor, grid: Grid, bins: Bins) -> tuple[Tensor, Tensor, Tensor]:
    """The bins that hold neighbours of the atoms in ``some`` bins: half of those around them, and themselves.

    Half of the steps from a bin to those around it are the other half turned round. Steps are counted in the order of
    their three components, so that the first half comes before the step to the bin itself.

    Returns:
        The bin, the bin near it, and the cells between them ``[..., 3]``.
    """
    reach = grid.reach[bins.structure[some]]
    width = 2 * reach + 1
    n_steps = width.prod(dim=-1)
    row, step = ragged_range(n_steps // 2 + 1, first=n_steps // 2)
    _, n_y, n_z = width[row].unbind(dim=-1)
    step = torch.stack([step // (n_y * n_z), step // n_z % n_y, step % n_z], dim=-1) - reach[row]

    here = some[row]
    structure = bins.structure[here]
    shape = grid.shape[structure]
    there = bins.place[here] + step
    cells = there.div(shape, rounding_mode="floor").where(grid.pbc[structure], torch.zeros_like(there))
    there = there - cells * shape
    exists = ((there >= 0) & (there < shape)).all(dim=-1)
    number = grid.number(there, structure)
    near = torch.searchsorted(bins.number, number).clamp(max=len(bins.number) - 1)
    filled = exists & (bins.number[near] == number)
    return here[filled], near[filled], cells[filled]


def _half_of_pairs(grid: Grid, bins: Bins, cutoff: float) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Every pair within the cutoff from one of its ends: centre, neighbour and the cells between, piece by piece."""
    n_around = (2 * grid.reach + 1).prod(dim=-1)[bins.structure]
    pos = bins.pos.T.contiguous()
    for some in chunks(bins.count * n_around, CANDIDATES):
        here, near, cells = bins_around(some, grid, bins)
        offset = _cartesian(cells, grid.cell, bins.structure[here])
        within_bin = (here == near) & (cells == 0).all(dim=-1)

        # Each atom of the one bin looks at all atoms of the other; within one bin, at those after itself.
        row, i = ragged_range(bins.count[here], first=bins.first[here])
        origin = (bins.pos[i] - offset[row]).T.contiguous()
        ahead = torch.where(within_bin[row], i + 1, bins.first[near][row])
        n_ahead = (bins.first + bins.count)[near][row] - ahead
        for looks in chunks(n_ahead, CANDIDATES):
            look, j = ragged_range(n_ahead[looks], first=ahead[looks])
            look = looks.index_select(0, look)
            close = (_squared_distances(pos, j, origin, look) <= cutoff**2).nonzero().squeeze(-1)
            look, j = look[close], j[close]
            shift = cells[row[look]] - bins.wrap[j] + bins.wrap[i[look]]
            yield bins.atom[i[look]], bins.atom[j], shift.to(torch.int32)


def _squared_distances(points: Tensor, j: Tensor, origins: Tensor, k: Tensor) -> Tensor:
    """Squared distances between pairs of columns of ``[3, ...]`` tensors, computed axis by axis, which is fastest."""
    x, y, z = (
        (point.index_select(0, j) - origin.index_select(0, k)).square()
        for point, origin in zip(points, origins, strict=True)
    )
    return x + y + z


def _cartesian(cells: Tensor, cell: Tensor, structure: Tensor) -> Tensor:
    return torch.einsum("ns,nsc->nc", cells.to(cell.dtype), cell[structure])
