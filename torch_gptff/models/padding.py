"""Graphs filled up to a few sizes, so that what was recorded for one size serves many structures."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

STEPS = 8
"""Sizes between a power of two and the next: at most an eighth is added."""

LEAST = 64
"""The smallest size of all."""


class Size(NamedTuple):
    """Atoms and bonds of a graph that was filled up."""

    atoms: int
    bonds: int

    @classmethod
    def of(cls, n_atoms: int, n_bonds: int) -> Size:
        """The size that a graph is filled up to. One atom more than it has, at least, and so many that those added have
        no more bonds each than its own."""
        bonds = _next(n_bonds)
        return cls(_next(n_atoms + 1 + (bonds - n_bonds) * n_atoms // max(n_bonds, 1)), bonds)


class Padded(NamedTuple):
    """Atoms and bonds of a graph, and behind them atoms that have bonds among themselves only, as long as the cutoff:
    they change nothing of what the model gives for the others.

    Attributes:
        z: atomic numbers, ``[N]``
        edge_index: neighbours and centres, ascending by centre, ``[2, E]``
        vectors: bond vectors, Å, ``[E, 3]``
    """

    z: Tensor
    edge_index: Tensor
    vectors: Tensor

    @classmethod
    def of(cls, z: Tensor, edge_index: Tensor, vectors: Tensor, size: Size, cutoff: float) -> Padded:
        """Fill up to a size, which has more atoms and no fewer bonds.

        Args:
            z: atomic numbers, ``[N]``
            edge_index: neighbours and centres, ascending by centre, ``[2, E]``
            vectors: bond vectors, Å, ``[E, 3]``
            size: what they are filled up to
            cutoff: length of the bonds that are added, Å
        """
        n_atoms, n_bonds = size.atoms - len(z), size.bonds - len(vectors)
        number = torch.arange(n_bonds, device=z.device)
        added = len(z) + number * n_atoms // max(n_bonds, 1)
        return cls(
            torch.cat([z, z.new_ones(n_atoms)]),
            torch.cat([edge_index, added.expand(2, -1)], dim=1),
            torch.cat([vectors, vectors.new_full((n_bonds, 3), cutoff * 3**-0.5)]),
        )


def _next(number: int) -> int:
    """The next of the sizes, that number or more."""
    number = max(number, LEAST)
    step = 1 << max((number - 1).bit_length() - 1 - (STEPS - 1).bit_length(), 0)
    return -(-number // step) * step
