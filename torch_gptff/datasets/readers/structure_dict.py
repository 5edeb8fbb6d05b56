"""The ``as_dict`` of a pymatgen ``Structure``, read without building one: a tenth of the time, and no pymatgen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torch_gptff.errors import PartialOccupancyError, UnreadableDataError

Atoms = tuple[list[int], NDArray[np.float64], NDArray[np.float64], list[bool]]


def atoms_of(structure: Any, where: str) -> Atoms:
    """Atomic numbers, positions in Å, cell and periodic directions.

    Raises:
        UnreadableDataError: it is not such a dictionary.
        PartialOccupancyError: a site is shared by several species, or by one and nothing.
    """
    try:
        lattice, sites = structure["lattice"], structure["sites"]
        cell = np.array(lattice["matrix"], dtype=np.float64)
        numbers = [_atomic_number(site["species"], where) for site in sites]
        fractional = np.array([site["abc"] for site in sites], dtype=np.float64)
        return numbers, fractional @ cell, cell, list(lattice.get("pbc", (True, True, True)))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, PartialOccupancyError | UnreadableDataError):
            raise
        raise UnreadableDataError(f"{where}: the structure is not the as_dict of a pymatgen Structure") from error


def _atomic_number(species: list[Mapping[str, Any]], where: str) -> int:
    if len(species) != 1 or species[0]["occu"] != 1:
        shared = ", ".join(f"{each['element']} {each['occu']:g}" for each in species)
        raise PartialOccupancyError(f"{where}: a site holds {shared}: an energy belongs to whole atoms")
    return element_number(species[0]["element"], where)


def element_number(symbol: str, where: str) -> int:
    """The atomic number of an element; deuterium and tritium are hydrogen.

    Raises:
        UnreadableDataError: no element has this symbol.
    """
    from ase.data import atomic_numbers

    symbol = {"D": "H", "T": "H"}.get(symbol, symbol)
    number = atomic_numbers.get(symbol, 0)
    if number == 0:
        raise UnreadableDataError(f"{where}: no element has the symbol {symbol!r}")
    return number
