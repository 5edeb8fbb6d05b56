"""A batch, one structure at a time, for the libraries that know nothing of batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FindOne = Callable[[NDArray, NDArray, NDArray, float], tuple[NDArray, NDArray, NDArray]]
"""``(pos [n, 3], cell [3, 3], pbc [3], cutoff) -> (centre [e], neighbour [e], shift [e, 3])``"""


def for_each_structure(
    find_one: FindOne, pos: Tensor, cell: Tensor, pbc: Tensor, batch: Tensor, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the pairs of every structure of a batch with a function of NumPy arrays (float64)."""
    counts = torch.bincount(batch, minlength=len(cell)).tolist()
    parts = []
    first = 0
    for count, one_cell, one_pbc in zip(counts, cell, pbc, strict=True):
        one_pos = pos[first : first + count].double().cpu().numpy()
        centre, neighbour, shift = find_one(one_pos, one_cell.double().cpu().numpy(), one_pbc.cpu().numpy(), cutoff)
        parts.append((centre.astype(np.int64) + first, neighbour.astype(np.int64) + first, shift.astype(np.int32)))
        first += count

    def together(column: int) -> Tensor:
        return torch.from_numpy(np.concatenate([part[column] for part in parts])).to(pos.device)

    return together(0), together(1), together(2)
