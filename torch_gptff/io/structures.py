"""Files of atomic structures, in every format that ASE or pymatgen reads and in those that ASE writes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch_gptff.errors import StructureError, TruncatedStructureError, UnreadableStructureError
from torch_gptff.io.files import written_atomically
from torch_gptff.io.isotopes import isotope_of
from torch_gptff.io.structure_readers import readers_of

if TYPE_CHECKING:
    from ase import Atoms

_AT_INDEX = re.compile(r"(?P<file>.+)@(?P<index>-?\d+|(-?\d+)?:(-?\d+)?(:(-?[1-9]\d*)?)?)")


def read_structures(path: str | Path) -> list[Atoms]:
    """Every structure in a file: all frames of a trajectory, all blocks of a CIF.

    Compressed files (``.gz``, ``.bz2``, ``.xz``) are read as they are. Crystals that symmetry operations make are
    given with all their atoms, in the cell of the file.

    Args:
        path: a file, or ``file@index`` for a part of its frames as ASE counts them: ``md.xyz@0``, ``md.xyz@-1``,
            ``md.xyz@0:10``, ``md.xyz@::100``

    Raises:
        FileNotFoundError: no such file.
        UnreadableStructureError: no reader makes a structure of it, or it has no frame of that index; says what each
            reader said.
        PartialOccupancyError: a site is shared by several species, or by one and nothing.
        UnknownElementError: the file does not say which element an atom is.
    """
    return list(read_labelled(path).values())


def read_labelled(path: str | Path) -> dict[str, Atoms]:
    """As :func:`read_structures`, each under a name that finds it again: ``"NaCl.cif"``, ``"md.xyz@7"``."""
    file, index = split_index(str(path))
    if not file.exists():
        raise FileNotFoundError(f"no structure file {file}")
    if not file.is_file():
        raise UnreadableStructureError(f"{file} is a folder: name the structure files in it")
    frames = _read_all(file)
    labelled = {str(file) if len(frames) == 1 else f"{file}@{number}": atoms for number, atoms in enumerate(frames)}
    if index is None:
        return labelled
    chosen = list(labelled)[index]
    if not chosen:
        raise UnreadableStructureError(f"{path}: {file} has {len(frames)} structures, counted from 0, and not these")
    return {label: labelled[label] for label in chosen}


def write_structures(path: str | Path, structures: Sequence[Atoms]) -> None:
    """Write structures to one file, whole or not at all, in the format that its name asks for.

    Energy, forces and stress that the structures carry go with them where the format holds them (extxyz does).

    Raises:
        StructureError: the format holds no such structures, or is unknown.
    """
    path = Path(path)
    with written_atomically(path) as temporary:
        if path.suffix == ".cif":
            temporary.write_text("\n".join(_cif(atoms) for atoms in structures))
        else:
            _write_by_ase(path, temporary, structures)


def write_poscar(path: str | Path, atoms: Atoms) -> None:
    """Write a crystal as a POSCAR of VASP, whole or not at all, whatever the name of the file.

    Raises:
        StructureError: it is no crystal, periodic in three directions.
    """
    from ase.io import write

    if not atoms.pbc.all():
        raise StructureError("POSCAR holds crystals, periodic in all three directions: write extxyz instead")
    with written_atomically(Path(path)) as temporary:
        write(temporary, atoms, format="vasp", direct=True)


def split_index(path: str) -> tuple[Path, slice | None]:
    """The file and the frames that ``file@index`` names; an existing file of just this name comes first."""
    match = _AT_INDEX.fullmatch(path)
    if match is None or Path(path).exists():
        return Path(path), None
    numbers = [int(number) if number else None for number in match["index"].split(":")]
    if len(numbers) == 1:
        (one,) = numbers
        return Path(match["file"]), slice(one, None if one == -1 else (one or 0) + 1)
    return Path(match["file"]), slice(*numbers)


def _read_all(file: Path) -> list[Atoms]:
    said: list[str] = []
    for name, reader in readers_of(file).items():
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", UserWarning)
                frames = reader(file)
            if not frames:
                raise UnreadableStructureError("no structure in it")
        except TruncatedStructureError as error:  # another reader would make room for its atoms
            raise TruncatedStructureError(f"cannot read a structure from {file} ({name}: {error})") from error
        except UnreadableStructureError as error:
            said.append(f"{name}: {error}")
        except StructureError as error:
            raise type(error)(str(error) if str(file) in str(error) else f"{file}: {error}") from error
        except Exception as error:  # readers fail with whatever their parsers stumble over
            said.append(f"{name}: {type(error).__name__}: {' '.join(str(error).split())}")
        else:
            for warning in caught:
                warnings.warn(f"{file}: {warning.message}", warning.category, stacklevel=4)
            return frames
    raise UnreadableStructureError(f"cannot read a structure from {file} ({'; '.join(said)})")


def _cif(atoms: Atoms) -> str:
    from pymatgen.io.cif import CifWriter

    from torch_gptff.graph.convert import from_ase, to_pymatgen

    if not atoms.pbc.all():
        raise StructureError("CIF holds crystals, periodic in all three directions: write extxyz instead")
    text = str(CifWriter(to_pymatgen(from_ase(atoms))))
    for number, (symbol, mass) in enumerate(zip(atoms.symbols, atoms.get_masses(), strict=True)):
        isotope = isotope_of(symbol, mass)
        if isotope != symbol:  # pymatgen reads them, and writes them as hydrogen
            text = re.sub(rf"^  H  H{number} ", f"  {isotope}  {isotope}{number} ", text, flags=re.MULTILINE)
    return text


def _write_by_ase(path: Path, temporary: Path, structures: Sequence[Atoms]) -> None:
    from ase.io import write
    from ase.io.formats import UnknownFileTypeError, filetype

    try:
        format = filetype(str(path.absolute()), read=False)
        write(temporary, list(structures), format=format)
    except (UnknownFileTypeError, NotImplementedError) as error:
        raise StructureError(f"{path} names no format that structures can be written in: use .extxyz") from error
