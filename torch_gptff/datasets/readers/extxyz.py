"""Extended XYZ, one frame at a time, from compressed files too."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from torch_gptff.datasets.readers.ase_atoms import frames_of_atoms
from torch_gptff.datasets.readers.extras import kept_keys
from torch_gptff.datasets.readers.files import is_set, open_text, stem
from torch_gptff.datasets.readers.labels import LabelFinder, LabelKeys
from torch_gptff.errors import LabelError, UnknownFormatError, UnreadableDataError
from torch_gptff.graph import CrystalData
from torch_gptff.io.isotopes import without_isotopes_xyz
from torch_gptff.units import UnitConvention

if TYPE_CHECKING:
    from ase import Atoms


def read(
    path: Path,
    *,
    energy_key: str | None = None,
    forces_key: str | None = None,
    stress_key: str | None = None,
    energy: str = "per cell",
    stress_unit: str | None = None,
    stress_positive: str | None = None,
    naming: str | None = None,
    unconverged: bool | str = False,
    keep: str | Sequence[str] | None = None,
    keep_per_atom: str | Sequence[str] | None = None,
    source_key: str | None = None,
) -> Iterator[CrystalData]:
    """The frames of a file.

    Args:
        path: the file
        energy_key: where the energy is; by default ``REF_energy``, ``dft_energy``, ``energy`` or ``mace_energy``,
            whichever comes first; see :class:`~torch_gptff.datasets.readers.labels.LabelFinder` for other names
        forces_key: the same of forces
        stress_key: the same of stress
        energy: ``"per cell"`` or ``"per atom"``
        stress_unit: ``"eV/Å³"``, ``"GPa"``, ``"kbar"``, or ``"eV"`` for a virial; by default eV/Å³, or eV where the
            key is that of a virial
        stress_positive: sign convention of the stress, ``"tension"`` (ASE) or ``"compression"`` (VASP, virials); by
            default
            tension, or compression where the key is that of a virial
        naming: the prefix of the keys, as ``"REF_"``, or ``"plain"``; frames without such labels stay without any
        unconverged: take frames with ``converged=F``, too
        keep: other keys that become fields of the record, as ``"band_gap,magmom"``, see
            :func:`~torch_gptff.datasets.readers.extras.kept_keys`
        keep_per_atom: names of keys with a value for every atom that are kept too, as ``"magmoms=abs(magmom)"``
        source_key: where the frame says which source it is of; by default ``source``

    Raises:
        UnknownFormatError: a unit or sign that is not one of these.
        UnreadableDataError: the file is not extended XYZ, or truncated.
        LabelError, StructureError: see :func:`~torch_gptff.datasets.make_frame`.
    """
    kept = kept_keys(keep, keep_per_atom)
    keys = LabelKeys(energy_key, forces_key, stress_key, naming, is_set(unconverged, "unconverged"), kept)
    labels = LabelFinder(
        path,
        keys,
        _convention(energy, stress_unit or "eV/Å³", stress_positive or "tension"),
        _convention(energy, stress_unit or "eV", stress_positive or "compression"),
    )
    yield from frames_of_atoms(_structures(path, source_key), labels, source=stem(path))
    labels.tell()


def _structures(path: Path, source_key: str | None) -> Iterator[tuple[Atoms, str, str]]:
    """The ``Atoms`` of each frame, where it is, and its name."""
    from ase.io.extxyz import read_xyz

    with open_text(path, errors="replace") as file:  # bad characters in titles and comments are replaced
        for number, text in enumerate(_blocks(file, path)):
            where = f"{path}, frame {number}"
            try:
                (atoms,) = read_xyz(StringIO(without_isotopes_xyz(text)[0]), slice(None))
            except Exception as error:  # ASE raises what it happens to meet
                raise UnreadableDataError(f"{where}: not extended XYZ ({error})") from error
            if source_key is not None:
                atoms.info["source"] = _entry(atoms.info, source_key, where)
            yield atoms, where, f"{path.name}@{number}"


def _entry(info: dict[str, Any], key: str, where: str) -> str:
    if key not in info:
        raise LabelError(
            f"{where}: there is no {key!r} to take the source from; there is {', '.join(info) or 'nothing'}"
        )
    return str(info[key])


def _convention(energy: str, stress_unit: str, stress_positive: str) -> UnitConvention:
    for option, value, choices in (
        ("energy", energy, ("per cell", "per atom")),
        ("stress_unit", stress_unit, ("eV/Å³", "GPa", "kbar", "eV")),
        ("stress_positive", stress_positive, ("tension", "compression")),
    ):
        if value not in choices:
            raise UnknownFormatError(f"{option} is one of {', '.join(choices)}, and not {value!r}")
    return UnitConvention(energy, stress_unit, stress_positive)  # type: ignore[arg-type]


def _blocks(file: IO[str], path: Path) -> Iterator[str]:
    """The lines of one frame after another: a number, a comment, as many atoms."""
    number = 0
    for first in file:
        if not first.strip():
            continue
        try:
            n_lines = int(first) + 1
            if n_lines < 1:
                raise ValueError
        except ValueError:
            raise UnreadableDataError(
                f"{path}, frame {number}: expected a number of atoms, found {first.strip()[:40]!r}"
            ) from None
        lines = list(islice(file, min(n_lines, sys.maxsize)))
        if len(lines) < n_lines:
            raise UnreadableDataError(f"{path}, frame {number}: truncated, {n_lines - len(lines)} lines are missing")
        yield "".join([first, *lines])
        number += 1
