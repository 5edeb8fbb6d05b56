"""Further values of frames in a file: kept on request, and reported otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.datasets.frames import LABELS, ORIGIN
from torch_gptff.errors import LabelError, UnknownFormatError
from torch_gptff.graph import CrystalData

OF_ATOMS = ("charges", "energies", "forces", "magmom", "magmoms", "stresses")
"""Results of ASE's calculators that may have a value for each atom."""

STRUCTURE = {"numbers", "positions", "tags", "masses", "move_mask", "spacegroup", "unit_cell", "occupancy"}
"""Keys of ASE that describe the structure and are no property of it."""

_TAKEN = {"z", "pos", "cell", "pbc", "edge_index", "edge_shift", "angle_index", *LABELS, *ORIGIN, "batch", "ptr"}
_COUNTED = ("index", "face", "batch", "adj")  # PyG adds numbers of nodes to fields whose names have these in them
_ENTRY = re.compile(
    r"((?P<name>[^=()?]*?)\s*=\s*)?(abs\(\s*(?P<absolute>[^=()?]+?)\s*\)|(?P<key>[^=()?]*?))\s*(?P<optional>\?)?"
)


@dataclass(frozen=True)
class KeptKey:
    """One key of a file that becomes a field of the record.

    Attributes:
        name: name of the field in frames
        key: its key in the file
        per_atom: whether it must have a value for every atom
        magnitude: keep the absolute value: of a magnetic moment, whose sign is a matter of convention
        optional: the field is NaN in frames without the key, which are refused otherwise
    """

    name: str
    key: str
    per_atom: bool = False
    magnitude: bool = False
    optional: bool = False

    def value(self, known: Mapping[str, Any], per_atom: Set[str], n_atoms: int, where: str) -> Tensor | str:
        """The field of a frame, see :func:`kept_fields`."""
        if self.key not in known and not self.optional:
            has = ", ".join(sorted(set(map(str, known)) - {"numbers", "positions"})) or "nothing"
            raise LabelError(
                f"{where}: there is no {self.key!r} to keep; there is {has} ({self.key}? leaves it unknown in frames "
                "that have none)"
            )
        value = known.get(self.key)
        if value is None:
            is_of_all = self.per_atom or self.key in per_atom
            return torch.full((n_atoms if is_of_all else 1,), torch.nan, dtype=torch.float64)
        if isinstance(value, str) and not (self.per_atom or self.magnitude or self.optional):
            return value
        array = _numbers(value)
        if array is None:
            raise LabelError(
                f"{where}: {self.key!r} cannot be kept: it is neither a number, an array of numbers nor a text"
                if not isinstance(value, str)
                else f"{where}: {self.key!r} cannot be kept as numbers: it is the text {value[:40]!r}"
            )
        if self.magnitude:
            array = np.abs(array)
        if self.per_atom:
            array = np.atleast_1d(array)
            if len(array) != n_atoms:
                raise LabelError(
                    f"{where}: {self.key} has the shape {list(np.shape(value))}, and there are {n_atoms} atoms"
                )
            return torch.from_numpy(array)
        is_of_each = is_of_atoms(self.key, array, per_atom, n_atoms)
        if is_of_each and self.optional and self.key not in per_atom:
            raise LabelError(f"{where}: {self.key!r} has a value for every atom: name it in keep_per_atom")
        return torch.from_numpy(array if is_of_each else array[None])


def kept_keys(keep: str | Sequence[str] | None, per_atom: str | Sequence[str] | None = None) -> tuple[KeptKey, ...]:
    """The keys of the options ``keep`` and ``keep_per_atom`` of a reader, as ``"band_gap,magmom"`` or a list of them.

    ``"gap=band_gap"`` gives a key another name, ``"magmoms=abs(magmom)"`` keeps the absolute value, and
    ``"band_gap?"`` takes frames without the key, too, whose value is NaN.

    Raises:
        UnknownFormatError: an entry of another form, or a name that no field of a record can have.
    """
    found: list[KeptKey] = []
    for entries, of_atoms in ((keep, False), (per_atom, True)):
        listed = entries.split(",") if isinstance(entries, str) else map(str, entries or ())
        for entry in listed:
            match = _ENTRY.fullmatch(entry.strip())
            if match is None:
                raise UnknownFormatError(
                    "keep and keep_per_atom name keys, as in band_gap, gap=band_gap, magmoms=abs(magmom) or band_gap?; "
                    f"got {entry!r}"
                )
            key = match["absolute"] or match["key"]
            name = key if match["name"] is None else match["name"]
            if not is_field_name(name):
                raise UnknownFormatError(
                    f"keep: no field of a record can be called {name!r}: a name is made of letters, digits and _, is "
                    f"not one that records use, and has none of {', '.join(_COUNTED)} in it; give it a name, as in "
                    f"target={key}"
                )
            if name in {each.name for each in found}:
                raise UnknownFormatError(f"keep: two fields of a record would be called {name!r}; name one otherwise")
            found.append(KeptKey(name, key, of_atoms, match["absolute"] is not None, match["optional"] is not None))
    return tuple(found)


def is_field_name(name: str) -> bool:
    """Whether a further field of a record can have a name."""
    free = name not in _TAKEN and not hasattr(CrystalData, name) and not hasattr(Data(), name)
    return name.isidentifier() and free and not any(word in name for word in _COUNTED)


def kept_fields(
    keep: Sequence[KeptKey], known: Mapping[str, Any], per_atom: Set[str], n_atoms: int, where: str
) -> dict[str, Tensor | str]:
    """The fields that are asked for, by name: numbers as float64, ``[N, ...]`` of the atoms, ``[1, ...]`` of the frame,
    NaN where a value is not known; texts.

    Raises:
        LabelError: the frame has none of that name, or one that is neither a number, an array of numbers nor a text,
            or no value for every atom.
    """
    return {key.name: key.value(known, per_atom, n_atoms, where) for key in keep}


def _numbers(value: Any) -> NDArray[np.float64] | None:
    """The numbers of a key, where ``None`` is one that is not known; ``None`` where it has something else."""
    try:
        array = np.asarray(value)
        return array.astype(np.float64) if array.dtype.kind in "biufO" else None
    except (TypeError, ValueError):  # lists of several lengths, objects that are no numbers
        return None


def is_numeric(value: Any) -> bool:
    """Whether a value is a number or an array of numbers."""
    try:
        return np.asarray(value).dtype.kind in "biuf"
    except ValueError:  # lists of several lengths
        return False


def is_of_atoms(key: str, value: Any, per_atom: Set[str], n_atoms: int) -> bool:
    """Whether a key has a value for each atom."""
    return key in per_atom or (key in OF_ATOMS and np.shape(value)[:1] == (n_atoms,))
