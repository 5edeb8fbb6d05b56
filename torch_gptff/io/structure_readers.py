"""The readers of structure files: ASE's and pymatgen's, and which of them is asked first.

They know different formats, and on some files one of them is wrong without a word: ASE picks one species of a shared
site, reads only the asymmetric unit of a SHELX file, and takes minutes for a CIF of some thousand atoms; pymatgen
invents the elements of a POSCAR that names none.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch_gptff.errors import PartialOccupancyError, UnreadableStructureError

if TYPE_CHECKING:
    from ase import Atoms

Reader = Callable[[Path], "list[Atoms]"]

_COMPRESSED = (".gz", ".bz2", ".xz")
_WHOLE_ATOMS = "an energy belongs to whole atoms; order the structure first"


def readers_of(file: Path) -> dict[str, Reader]:
    """The readers to try on a file, in this order, by the name of the package behind them."""
    suffixes = [suffix.lower() for suffix in file.suffixes if suffix.lower() not in _COMPRESSED]
    match suffixes[-1] if suffixes else "":
        case ".cif" | ".mcif":
            return {"pymatgen": read_cif, "ASE": read_by_ase}
        case ".json":
            return {"pymatgen": read_json, "ASE": read_by_ase}
        case ".res":
            return {"pymatgen": read_res}
        case _:
            return {"ASE": read_by_ase, "pymatgen": read_by_pymatgen}


def read_by_ase(file: Path) -> list[Atoms]:
    """All frames of a file that ASE knows.

    Raises:
        PartialOccupancyError: the file gives an occupancy other than 1.
    """
    from ase.io import read

    frames = read(file, index=":", do_not_split_by_at_sign=True)
    for atoms in frames:
        _require_full_occupancy(atoms)
    return frames


def read_by_pymatgen(file: Path) -> list[Atoms]:
    """The structure in a file that pymatgen knows; what it would only warn of is an error."""
    from pymatgen.core import Structure

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return [_from_pymatgen(Structure.from_file(str(file)))]


def read_cif(file: Path) -> list[Atoms]:
    """Every block of a CIF or magnetic CIF that lists atoms, in the order of its list.

    Fractional coordinates within 1e-4 of a third are taken as thirds, since files give them with four digits.
    """
    from pymatgen.io.cif import CifParser

    blocks = re.split(r"^\s*(?=data_)", _text(file), flags=re.MULTILINE)
    frames = []
    for block in (block for block in blocks if re.search(r"^\s*_atom_site[_.](fract|Cartn)_x", block, re.MULTILINE)):
        parser = CifParser.from_str(block)
        (structure,) = parser.parse_structures(primitive=False, on_error="raise")
        if "implicit_hydrogens" in structure.site_properties:
            raise UnreadableStructureError("some hydrogens are only counted, not placed: add them as atoms")
        (entries,) = parser.as_dict().values()
        position = {label: number for number, label in reversed(list(enumerate(entries["_atom_site_label"])))}
        # pymatgen sorts by electronegativity
        sites = sorted(structure, key=lambda site: position.get(site.label, len(position)))
        frames.append(_in_standard_orientation(_from_pymatgen(type(structure).from_sites(sites))))
    return frames


def read_json(file: Path) -> list[Atoms]:
    """What pymatgen's ``as_dict`` gave of a structure, a molecule, an entry with a structure, or a list of them."""
    content = json.loads(_text(file))
    return [_from_dict(entry) for entry in (content if isinstance(content, list) else [content])]


def read_res(file: Path) -> list[Atoms]:
    """A SHELX-like ``.res`` file with all atoms of its cell, as structure searches write them.

    Raises:
        UnreadableStructureError: it has symmetry operations, which neither package applies.
        PartialOccupancyError: an occupancy other than 1, or 11 for a fixed 1, which neither package looks at.
    """
    from pymatgen.io.res import ResIO

    text = _text(file)
    symmetry = re.search(r"^(SYMM.*|LATT\s+(?!-1\b).*)$", text, re.MULTILINE | re.IGNORECASE)
    if symmetry:
        raise UnreadableStructureError(
            f"its line {symmetry[0].strip()!r} asks for symmetry operations, which are not applied: convert it to CIF"
        )
    for atom in re.finditer(r"^[A-Za-z]\w*\s+\d+(\s+-?[\d.]+){3}\s+(?P<occupancy>[\d.]+)", text, re.MULTILINE):
        if float(atom["occupancy"]) not in (1, 11):
            raise PartialOccupancyError(f"occupancy {atom['occupancy']} in {atom[0]!r}: {_WHOLE_ATOMS}")
    return [_in_standard_orientation(_from_pymatgen(ResIO.structure_from_str(text)))]


def _from_dict(entry: Any) -> Atoms:
    from pymatgen.core import Molecule, Structure

    if isinstance(entry, Mapping) and isinstance(entry.get("structure"), Mapping):
        entry = entry["structure"]
    if not isinstance(entry, Mapping) or "sites" not in entry:
        raise UnreadableStructureError("not the as_dict of a structure or molecule")
    return _from_pymatgen((Structure if "lattice" in entry else Molecule).from_dict(entry))


def _from_pymatgen(structure: Any) -> Atoms:
    from torch_gptff.graph.convert import from_pymatgen, to_ase

    return to_ase(from_pymatgen(structure))


def _in_standard_orientation(atoms: Atoms) -> Atoms:
    """As ASE turns a cell that a file gives by lengths and angles: *a* along *x*, *b* in the *xy* plane."""
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


def _text(file: Path) -> str:
    from ase.io.formats import open_with_compression

    with open_with_compression(str(file), "r") as stream:
        return stream.read()
