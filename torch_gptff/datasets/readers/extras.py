"""What a file says of its frames beyond structure and labels: kept where it is asked for, told otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import torch
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


def kept_keys(keep: str | Sequence[str] | None) -> tuple[str, ...]:
    """The keys of the option ``keep``, as ``"band_gap,magmom"`` or a list of them.

    Raises:
        UnknownFormatError: a key that no field of a record can be called.
    """
    if keep is None:
        return ()
    keys = tuple(key.strip() for key in (keep.split(",") if isinstance(keep, str) else map(str, keep)))
    for key in keys:
        free = key not in _TAKEN and not hasattr(CrystalData, key) and not hasattr(Data(), key)
        if not (key.isidentifier() and free and not any(word in key for word in _COUNTED)):
            raise UnknownFormatError(
                f"keep: no field of a record can be called {key!r}: a name is made of letters, digits and _, is not "
                f"one that records use, and has none of {', '.join(_COUNTED)} in it; call it otherwise in the file"
            )
    return keys


def kept_fields(
    keep: Sequence[str], known: Mapping[str, Any], per_atom: Set[str], n_atoms: int, where: str
) -> dict[str, Tensor | str]:
    """The fields that are asked for: numbers as float64, ``[N, ...]`` of the atoms, ``[1, ...]`` of the frame; texts.

    Raises:
        LabelError: the frame has none of that name, or one that is neither a number, an array of numbers nor a text.
    """
    fields: dict[str, Tensor | str] = {}
    for key in keep:
        if key not in known:
            has = ", ".join(sorted(set(map(str, known)) - {"numbers", "positions"})) or "nothing"
            raise LabelError(f"{where}: there is no {key!r} to keep; there is {has}")
        value = known[key]
        if isinstance(value, str):
            fields[key] = value
            continue
        if not is_numeric(value):
            raise LabelError(f"{where}: {key!r} cannot be kept: it is neither a number, an array of numbers nor a text")
        array = np.array(value, dtype=np.float64)
        fields[key] = torch.from_numpy(array if is_of_atoms(key, array, per_atom, n_atoms) else array[None])
    return fields


def is_numeric(value: Any) -> bool:
    """Whether a value is a number or an array of numbers."""
    try:
        return np.asarray(value).dtype.kind in "biuf"
    except ValueError:  # lists of several lengths
        return False


def is_of_atoms(key: str, value: Any, per_atom: Set[str], n_atoms: int) -> bool:
    """Whether a key has a value for each atom."""
    return key in per_atom or (key in OF_ATOMS and np.shape(value)[:1] == (n_atoms,))
