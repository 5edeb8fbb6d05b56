"""Chemical formulas of structures."""

from __future__ import annotations

import warnings
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from ase import Atoms


def reduced_formula(numbers: ArrayLike) -> str:
    """The formula unit as chemists write it, ``"LiFePO4"``, of atomic numbers; elemental gases are ``"O2"``."""
    return _reduced_formula(tuple(sorted(Counter(np.asarray(numbers).tolist()).items())))


def formula_of(atoms: Atoms) -> str:
    """The formula unit of a crystal, ``"LiFePO4"``; the formula of a molecule, ``"C2H6O"``."""
    if not atoms.pbc.any():
        return str(atoms.get_chemical_formula())
    return reduced_formula(atoms.numbers)


@lru_cache(maxsize=65536)
def _reduced_formula(counts: tuple[tuple[int, int], ...]) -> str:
    from pymatgen.core import Composition, Element

    amounts: Any = {Element.from_Z(number): count for number, count in counts}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No Pauling electronegativity")  # for noble gases, which come last
        return str(Composition(amounts).reduced_formula)
