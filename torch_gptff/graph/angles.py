"""Angles, as ordered pairs of different bonds with one centre."""

from __future__ import annotations

import torch
from torch import Tensor

from torch_gptff.graph.ragged import ragged_range


def angle_pairs(centre: Tensor, lengths: Tensor, angle_cutoff: float) -> Tensor:
    """Every ordered pair of different bonds, of one centre, that are both no longer than ``angle_cutoff``.

    Bonds are told apart, not the atoms at their ends, so that the angle between two images of one atom is kept.
    Nothing larger than the result is made: each bond is paired with the other short bonds of its centre by
    counting, without a mask over all pairs.

    Args:
        centre: the centre of every bond, ascending, ``[E]``
        lengths: the bonds' lengths in Å, ``[E]``
        angle_cutoff: Å

    Returns:
        Bonds as positions in ``centre``, ``[2, A]``, row 0 ascending.

    Raises:
        GraphSizeError: there are more angles than the memory can hold.
    """
    from torch_gptff.graph.size import BYTES_PER_ANGLE, require_room

    short = (lengths <= angle_cutoff).nonzero().squeeze(-1)
    _, group, sizes = torch.unique_consecutive(centre[short], return_inverse=True, return_counts=True)
    n_angles = float((sizes.double() * (sizes - 1)).sum())
    require_room(n_angles, BYTES_PER_ANGLE, f"angles of bonds within {angle_cutoff:.3g} Å", lengths.device)
    start = sizes.cumsum(0) - sizes
    first, second = ragged_range(sizes[group] - 1, first=start[group])
    second = second + (second >= first)  # step over the bond itself
    return torch.stack([short[first], short[second]])
