"""Rows of different lengths, laid end to end in one tensor."""

from __future__ import annotations

import torch
from torch import Tensor


def ragged_range(counts: Tensor, first: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Enumerate the items of rows with ``counts`` items each, one row after another.

    Args:
        counts: items in every row, ``[R]``
        first: number of the first item of each row, ``[R]``; 0 by default

    Returns:
        The row of every item and its number, ``first[row], first[row] + 1, …``, each ``[counts.sum()]``.
    """
    row = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    before = counts.cumsum(0) - counts
    base = -before if first is None else first - before
    return row, torch.arange(len(row), device=counts.device) + base[row]


def chunks(cost: Tensor, limit: int) -> list[Tensor]:
    """Slices of consecutive rows, each of a cost of at most ``limit`` and one row more.

    Args:
        cost: cost of every row, ``[R]``
        limit: largest cost of a piece, but for one row
    """
    before = cost.cumsum(0) - cost
    sizes = torch.unique_consecutive(before // limit, return_counts=True)[1].tolist()
    return list(torch.arange(len(cost), device=cost.device).split(sizes))
