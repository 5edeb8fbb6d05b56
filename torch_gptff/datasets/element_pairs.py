"""Pairs of elements that occur together in a structure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import combinations


def element_pairs(compositions: Iterable[Collection[int]]) -> frozenset[tuple[int, int]]:
    """Pairs of different elements that some composition has together, the lesser number first.

    Args:
        compositions: the atomic numbers of each structure, as in :attr:`FrameTable.elements`
    """
    return frozenset(pair for numbers in compositions for pair in combinations(sorted(set(numbers)), 2))
