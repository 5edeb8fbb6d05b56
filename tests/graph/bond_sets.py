"""Bonds and angles as Python sets, in which the order that a search happens to give them plays no part."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch

from torch_gptff.graph import CrystalData

Bond = tuple[int, int, int, int, int]
"""Centre, neighbour, and the three cells between them."""


def record(positions, cell=None, pbc=False, z=None, dtype=torch.float64) -> CrystalData:
    positions = np.asarray(positions, dtype=float)
    return CrystalData(
        z=torch.ones(len(positions), dtype=torch.int64) if z is None else torch.tensor(z),
        pos=torch.tensor(positions, dtype=dtype),
        cell=torch.tensor(np.zeros((3, 3)) if cell is None else np.array(cell), dtype=dtype).view(1, 3, 3),
        pbc=torch.tensor(np.broadcast_to(pbc, 3).copy()).view(1, 3),
    )


def bonds(edge_index, shift) -> list[Bond]:
    neighbour, centre = edge_index
    return [tuple(row) for row in torch.cat([centre.view(-1, 1), neighbour.view(-1, 1), shift], dim=1).tolist()]


def bond_lengths(edge_index, shift, lengths) -> dict[Bond, float]:
    """Every bond once, with its length in Å."""
    found = dict(zip(bonds(edge_index, shift), lengths.tolist(), strict=True))
    assert len(found) == len(lengths), "a bond was found twice"
    return found


def angles(data) -> Counter[tuple[Bond, Bond]]:
    """How often every pair of bonds stands in ``angle_index``."""
    names = bonds(data.edge_index, data.edge_shift)
    return Counter((names[first], names[second]) for first, second in data.angle_index.T.tolist())
