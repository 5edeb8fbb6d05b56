"""Reports on the results of workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ase import Atoms


def reduced_formula(atoms: Atoms) -> str:
    """The formula unit of a crystal, ``"NaCl"``."""
    return str(atoms.symbols.formula.reduce()[0].format("metal"))
