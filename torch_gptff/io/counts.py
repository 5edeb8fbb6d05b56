"""Whether a structure file can hold as many atoms as it announces: readers make room for them before they look."""

from __future__ import annotations

import re

from torch_gptff.errors import TruncatedStructureError

_ANNOUNCED = {
    "lammps-dump-text": r"^ITEM: NUMBER OF ATOMS\s*\n\s*(\d+)",
    "lammps-data": r"^\s*(\d+)\s+(?:atoms|bonds|angles)\b",
    "gromacs": r"\A.*\n\s*(\d+)",
    "xsf": r"^\s*(?:PRIMCOORD|CONVCOORD)\b.*\n\s*(\d+)",
    "gen": r"\A\s*(\d+)",
    "cfg": r"^\s*Number of particles\s*=\s*(\d+)",
    "cube": r"\A.*\n.*\n\s*-?(\d+)",
    "vasp": r"\A(?:.*\n){5}(?:[^\d\n]*\n)?([ \t\d]+)$",
}
"""Positions of the number of atoms in formats with a line for every atom, by ASE's names."""


def check_counts(text: str, format: str) -> None:
    """Refuse a file that announces more atoms than it has lines for.

    Args:
        text: of the file
        format: ASE's name of it; formats that announce nothing pass

    Raises:
        TruncatedStructureError: names both numbers.
    """
    n_lines = text.count("\n") + 1
    if format in ("xyz", "extxyz"):
        _check_frames(text.splitlines())
    for match in re.finditer(_ANNOUNCED.get(format, r"(?!)"), text, re.MULTILINE):
        _require(sum(int(number[:20]) for number in match[1].split()), n_lines)


def _check_frames(lines: list[str]) -> None:
    """Frames of xyz one after another: the number of atoms, a comment, and a line for each."""
    at = 0
    while at < len(lines) and re.fullmatch(r"\s*\d+\s*", lines[at]):
        n_atoms = int(lines[at].strip()[:20])
        _require(n_atoms, max(len(lines) - at - 2, 0))
        at += n_atoms + 2


def _require(n_atoms: int, n_lines: int) -> None:
    if n_atoms > n_lines:
        raise TruncatedStructureError(
            f"{n_atoms:,} atoms are announced, and {n_lines:,} lines are there: the file is cut short or damaged"
        )
