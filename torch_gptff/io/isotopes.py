"""Deuterium and tritium: hydrogen to a potential, and atoms of another mass to dynamics.

ASE has no symbols for them and pymatgen has. Structures keep their masses in the array ``masses`` of ASE ``Atoms``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ase import Atoms

MASSES = {"D": 2.01410177784, "T": 3.01604928199}
"""Dalton (AME2020)."""

TOLERANCE = 0.01
"""Dalton, within which a hydrogen is one of them."""

_TOKEN = re.compile(r"(?<!\S)[DT](?!\S)")
_PROPERTIES = re.compile(r"Properties=(?P<quote>[\"']?)(?P<columns>[^\"'\s]+)(?P=quote)", re.IGNORECASE)


def with_masses(atoms: Atoms, masses: Mapping[int, float]) -> Atoms:
    """The atoms, those with these numbers having these masses in Dalton."""
    if masses:
        values = atoms.get_masses()
        values[list(masses)] = list(masses.values())
        atoms.set_masses(values)
    return atoms


def isotope_of(symbol: str, mass: float) -> str:
    """The symbol of an atom of this mass: ``"D"`` or ``"T"`` for heavy hydrogen, and ``symbol`` for all else."""
    if symbol != "H":
        return symbol
    return next((isotope for isotope, value in MASSES.items() if abs(mass - value) < TOLERANCE), symbol)


def without_isotopes_xyz(text: str) -> tuple[str, list[dict[int, float]]]:
    """The text of a file of (extended) XYZ with H for D and T, and the masses of these atoms in each frame."""
    if not _TOKEN.search(text):
        return text, []
    lines = text.splitlines()
    masses: list[dict[int, float]] = []
    at = 0
    while at < len(lines) and lines[at].strip().isdigit():
        n_atoms = int(lines[at])
        column = _species_column(lines[at + 1]) if at + 1 < len(lines) else 0
        masses.append({})
        for number in range(min(n_atoms, len(lines) - at - 2)):
            tokens = lines[at + 2 + number].split()
            if len(tokens) > column and tokens[column] in MASSES:
                masses[-1][number] = MASSES[tokens[column]]
                tokens[column] = "H"
                lines[at + 2 + number] = " ".join(tokens)
        at += 2 + n_atoms
    return "\n".join(lines) + "\n", masses


def without_isotopes_poscar(text: str) -> tuple[str, list[dict[int, float]]]:
    """The text of a POSCAR with H for D and T, and the masses of these atoms."""
    lines = text.splitlines()
    kinds, counts = (lines[at].split() if at < len(lines) else [] for at in (5, 6))
    if not set(kinds) & set(MASSES) or not all(count.isdigit() for count in counts):
        return text, []
    masses: dict[int, float] = {}
    first = 0
    for kind, count in zip(kinds, map(int, counts), strict=False):
        masses |= dict.fromkeys(range(first, first + count), MASSES[kind]) if kind in MASSES else {}
        first += count
    lines[5] = " ".join("H" if kind in MASSES else kind for kind in kinds)
    return "\n".join(lines) + "\n", [masses]


def _species_column(comment: str) -> int:
    """The column of a frame's atoms that their symbols are in."""
    match = _PROPERTIES.search(comment)
    names = match["columns"].split(":") if match else []
    column = 0
    for name, width in zip(names[::3], names[2::3], strict=False):
        if name.lower() in ("species", "symbols", "element"):
            return column
        column += int(width) if width.isdigit() else 1
    return 0
