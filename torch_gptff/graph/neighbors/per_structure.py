"""Neighbour search of a batch, one structure at a time, for libraries without batches."""

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
    sizes = torch.bincount(batch, minlength=len(cell)).cpu().numpy()
    ends = sizes.cumsum()
    points = np.split(pos.double().cpu().numpy(), ends[:-1])
    cells, periods = cell.double().cpu().numpy(), pbc.cpu().numpy()
    found = [find_one(*structure, cutoff) for structure in zip(points, cells, periods, strict=True)]

    def together(parts: tuple[NDArray, ...], dtype: type[np.integer]) -> Tensor:
        return torch.from_numpy(np.concatenate(parts, dtype=dtype, casting="unsafe")).to(pos.device)

    centre, neighbour, shift = zip(*found, strict=True)
    first_atom = torch.from_numpy(np.repeat(ends - sizes, [len(part) for part in centre])).to(pos.device)
    return (
        together(centre, np.int64) + first_atom,
        together(neighbour, np.int64) + first_atom,
        together(shift, np.int32),
    )
