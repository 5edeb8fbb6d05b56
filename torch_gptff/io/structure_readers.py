"""The readers of structure files: ASE's and pymatgen's, and which of them is asked first.

They know different formats, and on some files one of them is wrong without a word: ASE picks one species of a shared
site, reads only the asymmetric unit of a SHELX file, and takes minutes for a CIF of some thousand atoms; pymatgen
invents the elements of a POSCAR that names none.
"""

from __future__ import annotations

import codecs
import json
import re
import warnings
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from torch_gptff.errors import PartialOccupancyError, UnreadableStructureError
from torch_gptff.io import elements
from torch_gptff.io.counts import check_counts
from torch_gptff.io.isotopes import MASSES, with_masses, without_isotopes_poscar, without_isotopes_xyz

if TYPE_CHECKING:
    from ase import Atoms

Reader = Callable[[Path], "list[Atoms]"]

ONE_ATOM = 0.05
"""Å. Copies of a site by symmetry that are nearer than this are one atom, whose coordinates the file has rounded."""

_COMPRESSED = (".gz", ".bz2", ".xz")
_WHOLE_ATOMS = "an energy belongs to whole atoms; order the structure first"


def _lammps_options(text: str) -> dict[str, Any]:
    """Options of ASE for a LAMMPS data file: the elements of its types, and the units that its title names."""
    units = re.search(r"\bunits\s*=\s*(\w+)", text.partition("\n")[0])
    return {"Z_of_type": elements.lammps_elements(text), **({"units": units[1]} if units else {})}


_CHECKED: dict[str, Callable[[str], dict[str, Any] | None]] = {
    "vasp": elements.check_poscar,
    "lammps-dump-text": elements.check_lammps_dump,
    "lammps-data": _lammps_options,
    "gromacs": elements.check_gromacs,
    **dict.fromkeys(("xyz", "extxyz", "xsf", "gen", "cfg", "cube"), lambda _: None),
}
"""Formats of text that are looked at before ASE reads them, and the options that it is to read them with."""

_WITHOUT_ISOTOPES = {
    "vasp": without_isotopes_poscar,
    "xyz": without_isotopes_xyz,
    "extxyz": without_isotopes_xyz,
}


def readers_of(file: Path) -> dict[str, Reader]:
    """The readers to try on a file, in this order, by the name of the package behind them."""
    suffixes = [suffix.lower() for suffix in file.suffixes if suffix.lower() not in _COMPRESSED]
    match suffixes[-1] if suffixes else "":
        case ".cif" | ".mcif":
            return {"pymatgen": read_cif, "ASE": read_by_ase}
        case ".json" | ".mson":
            return {"pymatgen": read_json, "ASE": read_by_ase}
        case ".yaml" | ".yml":
            return {"pymatgen": read_yaml, "ASE": read_by_ase}
        case ".res":
            return {"pymatgen": read_res}
        case ".data" | ".lmp" | ".lammps":
            return {"ASE": read_lammps_data}
        case _:
            return {"ASE": read_by_ase, "pymatgen": read_by_pymatgen}


def read_by_ase(file: Path) -> list[Atoms]:
    """All frames of a file that ASE knows.

    Raises:
        PartialOccupancyError: the file gives an occupancy other than 1.
        UnknownElementError: the file does not say which elements its atoms are.
    """
    from ase.io import read
    from ase.io.formats import filetype

    elements.check_trajectory(file)
    path = str(file.absolute())  # ASE takes names that begin with mysql or postgres for addresses of databases
    format = filetype(path)
    source: Any = path
    options: dict[str, Any] = {}
    masses: list[dict[int, float]] = []
    if format in _CHECKED:
        text = decoded(file)
        check_counts(text, format)
        options = _CHECKED[format](text) or {}
        if format in _WITHOUT_ISOTOPES:
            text, masses = _WITHOUT_ISOTOPES[format](text)
        source = StringIO(text)
    frames = read(source, index=":", format=format, do_not_split_by_at_sign=True, **options)
    for atoms, own in zip(frames, masses, strict=False):
        with_masses(atoms, own)
    for atoms in frames:
        _require_full_occupancy(atoms)
    return frames


def read_lammps_data(file: Path) -> list[Atoms]:
    """The structure in a LAMMPS data file, or what else ASE finds in a file that is called so.

    Raises:
        UnknownElementError: the file does not say which elements its types of atoms are.
    """
    from ase.io import read

    text = decoded(file)
    if not re.search(r"^\s*\d+\s+atoms\b", text, re.MULTILINE) or not re.search(r"^\s*Atoms\b", text, re.MULTILINE):
        return read_by_ase(file)
    check_counts(text, "lammps-data")
    atoms = read(StringIO(text), format="lammps-data", **_lammps_options(text))
    return [atoms]


def read_by_pymatgen(file: Path) -> list[Atoms]:
    """The structure in a file that pymatgen knows; what it would only warn of is an error.

    Raises:
        UnreadableStructureError: pymatgen takes the file for JSON or YAML by a part of its name. It imports the modules
            that such a file names, so that these are read by :func:`read_json` and :func:`read_yaml` alone.
    """
    from pymatgen.core import Structure

    if re.search(r"\.([jm]son|ya?ml)", file.name, re.IGNORECASE):
        raise UnreadableStructureError("call it .json or .yaml if it is such a file, and otherwise by its own ending")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return [_from_pymatgen(Structure.from_file(str(file)))]


def read_cif(file: Path) -> list[Atoms]:
    """Every block of a CIF or magnetic CIF that lists atoms, in the order of its list.

    Fractional coordinates within 1e-4 of a third are taken as thirds, since files give them with four digits. Copies by
    symmetry of one site that are nearer than :data:`ONE_ATOM` are one atom between them, with a warning.

    Raises:
        UnknownElementError: a site is of no element.
        UnreadableStructureError: hydrogens are counted and not placed.
    """
    from pymatgen.io.cif import CifParser

    from torch_gptff.graph.convert import from_pymatgen, to_ase

    blocks = re.split(r"^\s*(?=data_)", decoded(file), flags=re.MULTILINE)
    frames = []
    for block in (block for block in blocks if re.search(r"^\s*_atom_site[_.](fract|Cartn)_x", block, re.MULTILINE)):
        parser = CifParser.from_str(block)
        (entries,) = parser.as_dict().values()
        elements.check_cif_sites(entries)
        (structure,) = parser.parse_structures(primitive=False, on_error="raise")
        if "implicit_hydrogens" in structure.site_properties:
            raise UnreadableStructureError("some hydrogens are only counted, not placed: add them as atoms")
        position = {label: number for number, label in reversed(list(enumerate(entries["_atom_site_label"])))}
        # pymatgen sorts by electronegativity
        sites = sorted(structure, key=lambda site: position.get(site.label, len(position)))
        structure = _merged(type(structure).from_sites(sites))
        isotopes = elements.cif_isotopes(entries)
        masses = {number: isotopes[site.label] for number, site in enumerate(structure) if site.label in isotopes}
        frames.append(with_masses(_in_standard_orientation(to_ase(from_pymatgen(structure))), masses))
    return frames


def read_json(file: Path) -> list[Atoms]:
    """Read pymatgen's ``as_dict`` of a structure, a molecule, an entry with a structure, or a list of them.

    Species, positions and lattice are read, and properties passed over: pymatgen would import what they name.
    """
    return _from_document(json.loads(decoded(file)))


def read_yaml(file: Path) -> list[Atoms]:
    """Read pymatgen's ``as_dict`` in YAML."""
    from ruamel.yaml import YAML

    return _from_document(YAML(typ="safe", pure=True).load(decoded(file)))


def read_res(file: Path) -> list[Atoms]:
    """A SHELX-like ``.res`` file with all atoms of its cell, as structure searches write them.

    Raises:
        UnreadableStructureError: it has symmetry operations, which neither package applies.
        PartialOccupancyError: an occupancy other than 1, or 11 for a fixed 1, which neither package looks at.
    """
    from pymatgen.io.res import ResIO

    text = decoded(file)
    symmetry = re.search(r"^(SYMM.*|LATT\s+(?!-1\b).*)$", text, re.MULTILINE | re.IGNORECASE)
    if symmetry:
        raise UnreadableStructureError(
            f"its line {symmetry[0].strip()!r} asks for symmetry operations, which are not applied: convert it to CIF"
        )
    for atom in re.finditer(r"^[A-Za-z]\w*\s+\d+(\s+-?[\d.]+){3}\s+(?P<occupancy>[\d.]+)", text, re.MULTILINE):
        if float(atom["occupancy"]) not in (1, 11):
            raise PartialOccupancyError(f"occupancy {atom['occupancy']} in {atom[0]!r}: {_WHOLE_ATOMS}")
    return [_in_standard_orientation(_from_pymatgen(ResIO.structure_from_str(text)))]


def _from_document(content: Any) -> list[Atoms]:
    return [_from_dict(entry) for entry in (content if isinstance(content, list) else [content])]


def _from_dict(entry: Any) -> Atoms:
    from pymatgen.core import Molecule, Structure

    if isinstance(entry, Mapping) and isinstance(entry.get("structure"), Mapping):
        entry = entry["structure"]
    if not isinstance(entry, Mapping) or "sites" not in entry:
        raise UnreadableStructureError("not the as_dict of a structure or molecule")
    sites = [{name: site[name] for name in ("species", "abc", "xyz") if name in site} for site in entry["sites"]]
    if "lattice" not in entry:
        return _from_pymatgen(Molecule.from_dict({"sites": sites}))
    lattice = {name: entry["lattice"][name] for name in ("matrix", "pbc") if name in entry["lattice"]}
    return _from_pymatgen(Structure.from_dict({"lattice": lattice, "sites": sites}))


def _from_pymatgen(structure: Any) -> Atoms:
    from torch_gptff.graph.convert import from_pymatgen, to_ase

    atoms = to_ase(from_pymatgen(structure))
    symbols = [getattr(site.specie, "element", site.specie).name for site in structure]
    return with_masses(atoms, {number: MASSES[symbol] for number, symbol in enumerate(symbols) if symbol in MASSES})


def _merged(structure: Any) -> Any:
    """A structure in which copies of one site of the file, made by symmetry, that are on one spot are one atom."""
    first, second, shifts, distances = structure.get_neighbor_list(ONE_ATOM)
    group = np.arange(len(structure))
    offset = np.zeros((len(structure), 3))  # to the atom that the group is called by
    for one, other, shift, distance in sorted(
        zip(first, second, shifts, distances, strict=True), key=lambda pair: pair[0]
    ):
        if one < other and structure[one].label == structure[other].label and group[other] == other:
            group[other] = group[one]
            offset[other] = structure[other].frac_coords + shift - structure[one].frac_coords + offset[one]
            warnings.warn(
                f"{structure[one].label} and its copy by symmetry are {distance:.1e} Å apart: taken as one atom",
                stacklevel=2,
            )
    sites = []
    for number, site in enumerate(structure):
        if group[number] == number:
            middle = site.frac_coords + offset[group == number].mean(axis=0)
            sites.append(type(site)(site.species, middle, site.lattice, label=site.label, properties=site.properties))
    return type(structure).from_sites(sites) if len(sites) < len(structure) else structure


def _in_standard_orientation(atoms: Atoms) -> Atoms:
    """Orient a cell given by lengths and angles as ASE does: *a* along *x*, *b* in the *xy* plane."""
    atoms.set_cell(atoms.cell.cellpar(), scale_atoms=True)
    return atoms


def _require_full_occupancy(atoms: Atoms) -> None:
    """Look where ASE keeps occupancies: by kind of site (CIF), or by atom (PDB and others)."""
    kinds = atoms.info.get("occupancy")
    shared = [kind for kind in kinds.values() if list(kind.values()) != [1]] if isinstance(kinds, Mapping) else []
    if shared:
        holds = ", ".join(f"{species} {occupancy:g}" for species, occupancy in shared[0].items())
        raise PartialOccupancyError(
            f"a site holds {holds}: an energy belongs to whole atoms; order the structure first"
        )
    for name in ("occupancy", "occupancies"):
        partial = (atoms.arrays[name] != 1).nonzero()[0] if name in atoms.arrays else []
        if len(partial):
            occupancy = atoms.arrays[name][partial[0]]
            raise PartialOccupancyError(f"atom {partial[0]} has the occupancy {occupancy:g}: {_WHOLE_ATOMS}")


def decoded(file: Path) -> str:
    """The text of a file that may be compressed: UTF-8, with or without a byte-order mark, UTF-16 with one, or Latin-1.

    Other encodings give other characters in titles and comments; numbers and symbols are the same in all.
    """
    from ase.io.formats import open_with_compression

    with open_with_compression(str(file.absolute()), "rb") as stream:
        content: bytes = stream.read()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
