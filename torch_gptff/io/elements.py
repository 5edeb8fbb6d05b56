"""Whether a structure file says which elements its atoms are, or its reader would make them up."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch_gptff.errors import UnknownElementError, UnreadableStructureError
from torch_gptff.io.isotopes import MASSES

NEAR = 0.003
"""A mass within this part of one element's, and of no other's, is that element's. The 1.0 of reduced units is none."""

ISOTOPES = dict.fromkeys(MASSES.values(), 1)

_WATER = ("OW", "HW")
"""Names of atoms of water that begin with their element."""

_DUMMIES = ("va", "vac", "x", "du", "q", "vc")
"""Symbols of vacancies and of points in space."""


def is_element(symbol: str) -> bool:
    """Whether it is the symbol of an element, or of deuterium or tritium."""
    from ase.data import atomic_numbers

    return symbol in MASSES or atomic_numbers.get(symbol, 0) > 0


def check_cif_sites(block: Mapping[str, Sequence[str]]) -> None:
    """Refuse sites whose type is no element, which parsers cut down to something that is: ``Va`` to vanadium.

    Args:
        block: the lists of a CIF, by name

    Raises:
        UnknownElementError: names the site.
    """
    labels = block.get("_atom_site_label", [])
    types = block.get("_atom_site_type_symbol", labels)
    for number, kind in enumerate(types):
        label = labels[number] if number < len(labels) else f"number {number}"
        is_stated = types is not labels and kind.strip() not in ("?", ".")
        letters = re.match(r"[A-Za-z]*", kind if is_stated else label)[0]  # type: ignore[index]
        unknown = not is_element(letters.capitalize()) if is_stated else letters.lower() in _DUMMIES
        if unknown:
            raise UnknownElementError(
                f"the site {label} is of the type {kind!r}, which is no element: leave vacancies and dummy atoms out, "
                "and name an element for everything else"
            )


def cif_isotopes(block: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """The masses of the sites of a CIF that are deuterium or tritium, by their labels.

    pymatgen reads these as well, but where hydrogen is there, too, it takes one for the other.
    """
    labels = block.get("_atom_site_label", [])
    types = block.get("_atom_site_type_symbol", labels)
    letters = (re.match(r"[A-Za-z]*", kind)[0] for kind in types)  # type: ignore[index]
    return {label: MASSES[symbol] for label, symbol in zip(labels, letters, strict=False) if symbol in MASSES}


def check_poscar(text: str) -> None:
    """Refuse a POSCAR of the old format whose title does not name its kinds of atoms, one by one.

    Raises:
        UnreadableStructureError: says so; a reader that finds symbols behind the coordinates may still read it.
    """
    lines = text.splitlines()
    counts = re.sub("[#!].*", "", lines[5]).split() if len(lines) > 5 else []
    if not counts or not all(count.isdigit() for count in counts):
        return
    title = lines[0].split()
    if len(title) != len(counts) or not all(map(is_element, title)):
        raise UnreadableStructureError(
            f"its line 6 has the numbers of {len(counts)} kinds of atoms, and no line before it names their elements "
            f"(the title is {lines[0].strip()[:40]!r}): write their symbols in a line above the numbers"
        )


def check_lammps_dump(text: str) -> None:
    """Refuse a dump of LAMMPS that has types of atoms only, or masses of no element.

    Raises:
        UnknownElementError: says what to write.
    """
    advice = "write the elements with it (dump_modify ID element Na Cl ...; dump ... custom ... element x y z)"
    for match in re.finditer(r"^ITEM: ATOMS (.*)\n(.*)", text, re.MULTILINE):
        columns = match[1].split()
        if "element" in columns:
            continue
        if "mass" not in columns:
            raise UnknownElementError(f"a dump of LAMMPS with types of atoms, and no elements: {advice}")
        for row in text[match.start(2) :].partition("ITEM:")[0].splitlines():
            values = row.split()
            if len(values) == len(columns) and element_of_mass(float(values[columns.index("mass")])) is None:
                raise UnknownElementError(
                    f"a dump of LAMMPS with atoms of the mass {values[columns.index('mass')]}, which is that of no "
                    f"one element: {advice}"
                )


def check_trajectory(file: Path) -> None:
    """Refuse a trajectory that does not name elements: of a LAMMPS dump, the first frame is looked at.

    Raises:
        UnknownElementError: says what to write.
    """
    from ase.io.formats import UnknownFileTypeError, filetype, open_with_compression

    try:
        format = filetype(str(file.absolute()))
    except (UnknownFileTypeError, OSError, EOFError):
        return  # whoever reads it will say so
    if format == "lammps-dump-binary":
        raise UnknownElementError(f"{file}: a binary dump of LAMMPS has types of atoms, and no elements: dump as text")
    if format == "lammps-dump-text":
        with open_with_compression(str(file.absolute()), "rt") as stream:
            frame: list[str] = []
            for line in stream:
                if line.startswith("ITEM: TIMESTEP") and frame:
                    break
                frame.append(line)
        try:
            check_lammps_dump("".join(frame))
        except UnknownElementError as error:
            raise UnknownElementError(f"{file}: {error}") from error


def lammps_elements(text: str) -> dict[int, int]:
    """The atomic numbers of the types of a LAMMPS data file: by the labels of the types, by the comments behind their
    masses (``1 22.99 # Na``), or by the masses.

    Raises:
        UnknownElementError: a type has none of these, or a mass of no one element.
    """
    from ase.data import atomic_numbers

    n_types = re.search(r"^\s*(\d+)\s+atom types", text, re.MULTILINE)
    types = range(1, int(n_types[1]) + 1 if n_types else 1)
    masses = {int(row[0]): row for row in _section(text, "Masses") if row[0].isdigit()}
    labels = {row[0]: row[1] for row in _section(text, "Atom Type Labels") if len(row) > 1}
    named = {kind: labels.get(str(kind), "") for kind in types}
    commented = {kind: row[3] if len(row) > 3 and row[2] == "#" else "" for kind, row in masses.items()}
    for names in (named, commented):
        if types and all(is_element(names.get(kind, "")) for kind in types):
            return {kind: 1 if names[kind] in MASSES else atomic_numbers[names[kind]] for kind in types}
    found = {kind: element_of_mass(float(row[1])) for kind, row in masses.items() if len(row) > 1}
    unknown = [kind for kind in types if found.get(kind) is None]
    if unknown or not found:
        raise UnknownElementError(
            f"a LAMMPS data file whose atoms of type {unknown[0] if unknown else 1} have neither a label nor the mass "
            "of one element: give the types their element symbols (a section 'Atom Type Labels', or '1 22.99 # Na' "
            "under 'Masses')"
        )
    return {kind: number for kind, number in found.items() if number is not None}


def check_gromacs(text: str) -> None:
    """Refuse a ``.gro`` file with names of atoms that may be of several elements (``CL``, ``CA``, ``NA``).

    Raises:
        UnknownElementError: names the atom.
    """
    for row in text.splitlines()[2:-1]:
        name = row[10:15].strip()
        letters = re.match(r"[A-Za-z]*", name)[0]  # type: ignore[index]
        if letters in _WATER or (is_element(letters) and (len(letters) == 1 or letters[1].islower())):
            continue
        raise UnknownElementError(
            f"a GROMACS file has names of atoms and no elements, and {name!r} is no symbol: convert it to a format "
            "that names the elements, such as extxyz"
        )


def element_of_mass(mass: float) -> int | None:
    """The atomic number of the one element, or isotope of hydrogen, of this mass in Dalton; ``None`` for no one."""
    from ase.data import atomic_masses

    near = {number for number, value in enumerate(atomic_masses) if number and abs(value - mass) < NEAR * value}
    near |= {number for value, number in ISOTOPES.items() if abs(value - mass) < NEAR * value}
    return near.pop() if len(near) == 1 else None


def _section(text: str, name: str) -> list[list[str]]:
    """The rows of a section of a LAMMPS data file, comments set apart by a ``#`` of their own."""
    match = re.search(rf"^\s*{name}\b[^\n]*\n\s*\n(?P<rows>(?:[ \t]*\S[^\n]*(?:\n|$))+)", text, re.MULTILINE)
    return [row.replace("#", " # ").split() for row in match["rows"].splitlines()] if match else []
