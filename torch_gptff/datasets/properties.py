"""Labels beside energy, forces and stress: kept by name, in the unit of the file, with NaN where nothing is known."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.errors import LabelError, UnknownFormatError
from torch_gptff.models.properties import KINDS, TAKEN

_ENTRY = re.compile(r"\s*(?:(?P<name>\w+)\s*=\s*)?(?P<abs>abs\()?(?P<key>[^=()\s]+)\)?\s*")


@dataclass(frozen=True)
class KeptKey:
    """One key of a file that is kept.

    Attributes:
        name: what it is called in frames
        key: what the file calls it
        per_atom: whether it has a value for every atom
        magnitude: keep the absolute value: of a magnetic moment, whose sign is a matter of convention
    """

    name: str
    key: str
    per_atom: bool
    magnitude: bool

    def value(self, known: Mapping[str, Any], n_atoms: int, where: str) -> Tensor:
        """The value of a frame, ``[N, …]`` or ``[1, …]``, float64; NaN where the file has none.

        Raises:
            LabelError: it is no number, or not one for every atom.
        """
        value = known.get(self.key)
        if value is None:
            return torch.full((n_atoms if self.per_atom else 1,), torch.nan, dtype=torch.float64)
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise LabelError(f"{where}: {self.key} is not made of numbers ({error})") from error
        if self.per_atom and len(np.atleast_1d(array)) != n_atoms:
            raise LabelError(f"{where}: {self.key} has the shape {list(array.shape)}, and there are {n_atoms} atoms")
        array = np.abs(array) if self.magnitude else array.copy()
        tensor = torch.from_numpy(np.atleast_1d(array))
        return tensor if self.per_atom else tensor.reshape(1, *array.shape)


def kept_keys(keep: str | Sequence[str] | None, per_atom: str | Sequence[str] | None) -> tuple[KeptKey, ...]:
    """From the options ``keep`` and ``keep_per_atom`` of a reader: names of keys, as ``"band_gap"``,
    ``"gap=band_gap"`` or ``"magmoms=abs(magmom)"``, several with commas between.

    Raises:
        UnknownFormatError: an entry of another form, or a name that is in use.
    """
    found = []
    for entries, of_atoms in ((keep, False), (per_atom, True)):
        listed = entries.split(",") if isinstance(entries, str) else entries or ()
        for entry in listed:
            match = _ENTRY.fullmatch(entry)
            if match is None:
                raise UnknownFormatError(
                    "keep and keep_per_atom name keys, as in band_gap, gap=band_gap or magmoms=abs(magmom); got "
                    f"{entry!r}"
                )
            name = match["name"] or match["key"]
            if name in TAKEN or not name.isidentifier():
                raise UnknownFormatError(
                    f"a key cannot be kept as {name!r}: give it a name, as in target={match['key']}"
                )
            found.append(KeptKey(name, match["key"], of_atoms, match["abs"] is not None))
    return tuple(found)


def properties_of(keys: Collection[KeptKey], known: Mapping[str, Any], n_atoms: int, where: str) -> dict[str, Tensor]:
    """The values of kept keys of a frame by name, see :meth:`KeptKey.value`."""
    return {key.name: key.value(known, n_atoms, where) for key in keys}


def property_of(frame: Data, name: str, kind: str) -> Tensor:
    """A property as a model of this kind of property is trained on it: ``[N]``, ``[1]``, ``[1, 3]`` or ``[1, 3, 3]``;
    NaN where the frame has none.

    Raises:
        LabelError: the frame has it in another shape.
    """
    shape = (len(frame.z) if kind == "atom" else 1, *KINDS[kind])
    value = frame.get(name)
    if value is None or (bool(value.isnan().all()) and value.numel() <= len(frame.z)):
        return torch.full(shape, torch.nan, dtype=torch.float64)
    if tuple(value.shape) != shape:
        raise LabelError(
            f"{frame.get('frame_id', 'a frame')}: {name} has the shape {list(value.shape)}, and a property of the kind "
            f"{kind!r} has {list(shape)}"
        )
    return value.double()
