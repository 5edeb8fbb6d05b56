"""Substitution of elements by chemically similar ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from numpy.random import Generator
from numpy.typing import NDArray

from torch_gptff.training.distillation.deformations import deformed

NEAR = 4
"""Largest difference of Mendeleev numbers of similar elements."""


@lru_cache
def near_elements(number: int) -> tuple[int, ...]:
    """Elements of the same block within :data:`NEAR` Mendeleev numbers, the nearest first.

    The numbers, as pymatgen has them, put the elements in one row such that those that stand near each other replace
    each other in crystals: D. G. Pettifor, `A chemical scale for crystal-structure maps
    <https://doi.org/10.1016/0038-1098(84)90765-8>`_ (1984).
    """
    from pymatgen.core import Element

    this = Element.from_Z(number)
    near = []
    for other in map(Element.from_Z, range(1, 95)):
        steps = abs(other.mendeleev_no - this.mendeleev_no)
        if 0 < steps <= NEAR and other.block == this.block:
            near.append((steps, other.Z))
    return tuple(z for _, z in sorted(near))


def substituted(atoms: Atoms, among: Sequence[str], rng: Generator) -> Atoms | None:
    """A copy in which one element is another, and the volume goes with the cubes of covalent radii.

    Args:
        atoms: structure to change
        among: symbols of the elements that may be put in; none means all
        rng: chooses the element, and what replaces it

    Returns:
        ``None`` where no element has a near one that is not in the structure already
    """
    present = np.unique(atoms.numbers)
    choices = [
        (int(old), new)
        for old in present
        for new in near_elements(int(old))
        if new not in present and (not among or chemical_symbols[new] in among)
    ]
    if not choices:
        return None
    old, new = choices[rng.integers(len(choices))]
    return with_elements(atoms, np.where(atoms.numbers == old, new, atoms.numbers))


def with_elements(atoms: Atoms, numbers: NDArray[np.int64]) -> Atoms:
    """A copy with these atomic numbers, ``[N]``; the volume goes with the cubes of covalent radii."""
    copy = atoms.copy()
    copy.numbers = numbers
    before, after = (float((covalent_radii[each.numbers] ** 3).sum()) for each in (atoms, copy))
    scale = (after / before) ** (1 / 3)
    if copy.pbc.any():
        return deformed(copy, (scale - 1) * np.eye(3))
    copy.positions *= scale
    return copy
