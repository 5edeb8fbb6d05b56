"""Datasets of PyG as frames: of molecules and crystals, with the labels that are named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.datasets.frames import make_frame
from torch_gptff.datasets.readers.extras import is_field_name
from torch_gptff.datasets.sources import Source
from torch_gptff.errors import LabelError, UnknownFormatError
from torch_gptff.graph import CrystalData
from torch_gptff.units import EV_PER_HARTREE, EV_PER_KCAL_PER_MOL

ENERGY_UNITS = {"eV": 1.0, "meV": 1e-3, "kcal/mol": EV_PER_KCAL_PER_MOL, "hartree": EV_PER_HARTREE}
"""Units of energies in eV; the unit of forces is this unit per Å."""

_FIELD = re.compile(r"(?P<key>\w+)(\[:,\s*(?P<column>\d+)\])?")


def frames_of_pyg(
    dataset: Iterable[Data],
    *,
    energy: str | None = None,
    forces: str | None = None,
    stress: str | None = None,
    energy_unit: str = "eV",
    target: Mapping[str, str] | None = None,
    source: str = "pyg",
) -> Iterator[CrystalData]:
    """The frames of a dataset of PyG, such as ``QM9`` and ``MD17``::

        frames_of_pyg(MD17(root, "aspirin"), energy="energy", forces="force", energy_unit="kcal/mol")
        frames_of_pyg(QM9(root), energy="y[:, 7]", target={"band_gap": "y[:, 4]"})

    Args:
        dataset: records with ``z`` and ``pos`` in Å, and ``cell`` and ``pbc`` for crystals
        energy: the field of the total energy, as ``"energy"``, or a column of one, as ``"y[:, 7]"``; ``None`` where
            none is known
        forces: the field of the forces
        stress: the field of the stress in eV/Å³, positive = tensile
        energy_unit: unit of the energies and, per Å, of the forces: one of :data:`ENERGY_UNITS`
        target: other labels of structures or atoms, by name, and the fields that they are in; they keep their unit
        source: name of the source, whose frames share an energy reference

    Raises:
        UnknownFormatError: the unit is unknown, a field is not written as described, or a name is in use.
        LabelError: a record lacks the field, or has it in another shape.
        StructureError: no energy can be computed for a structure.
    """
    if energy_unit not in ENERGY_UNITS:
        raise UnknownFormatError(f"energy_unit is one of {', '.join(ENERGY_UNITS)}; got {energy_unit!r}")
    target = dict(target or {})
    for name in target:
        if not is_field_name(name):
            raise UnknownFormatError(f"a target cannot be called {name!r}: take a name of letters that is not in use")
    factor = ENERGY_UNITS[energy_unit]
    for number, data in enumerate(dataset):
        where = f"record {number} of {type(dataset).__name__}"
        n_atoms = len(_field(data, "z", where))
        cell, pbc = data.get("cell"), data.get("pbc")
        total = None if energy is None else factor * _field(data, energy, where).reshape(()).item()
        of_atoms = None if forces is None else factor * _field(data, forces, where).reshape(n_atoms, 3).numpy()
        yield make_frame(
            data.z.numpy(),
            _field(data, "pos", where).numpy(),
            torch.zeros(3, 3).numpy() if cell is None else cell.reshape(3, 3).numpy(),
            cell is not None if pbc is None else pbc.reshape(3).numpy(),
            energy=total,
            forces=of_atoms,
            stress=None if stress is None else _field(data, stress, where).reshape(3, 3).numpy(),
            where=where,
            source=source,
            frame_id=f"{source}@{number}",
            kept={name: _target(_field(data, each, where), n_atoms) for name, each in target.items()},
        )


@dataclass(frozen=True, kw_only=True)
class PyGSource(Source):
    """A dataset of PyG as a source of frames, for a dataset that is stored and trained on::

        CrystalDataset("qm9", PyGSource("QM9", dataset=QM9(root), energy="y[:, 7]", target={"gap": "y[:, 4]"}))

    Attributes:
        path: name of the source
        dataset: dataset of PyG
        energy, forces, stress, energy_unit, target: see :func:`frames_of_pyg`
    """

    dataset: Any
    energy: str | None = None
    forces: str | None = None
    stress: str | None = None
    energy_unit: str = "eV"
    target: Mapping[str, str] = field(default_factory=dict)

    def read(self) -> Iterator[CrystalData]:
        """See :func:`frames_of_pyg`."""
        yield from frames_of_pyg(self.dataset, source=self.name or str(self.path), **self._labels())

    def identity(self) -> dict[str, Any]:
        """Its name, its number of records, and the fields of its labels."""
        return {
            "path": str(self.path),
            "bytes": None,
            "format": "pyg",
            "name": self.name,
            "options": {"records": str(len(self.dataset)), **{key: str(each) for key, each in self._labels().items()}},
        }

    def _labels(self) -> dict[str, Any]:
        names = ("energy", "forces", "stress", "energy_unit", "target")
        return {name: getattr(self, name) for name in names}


def _field(data: Data, named: str, where: str) -> Any:
    """A field of a record, or a column of one, float64 where it is a number.

    Raises:
        LabelError: the record lacks the field or the column.
    """
    match = _FIELD.fullmatch(named.strip())
    if match is None:
        raise UnknownFormatError(f'a field is named as "energy", or a column of one as "y[:, 7]"; got {named!r}')
    value = data.get(match["key"])
    if not isinstance(value, Tensor):
        raise LabelError(f"{where} has no {match['key']!r}; it has {', '.join(map(str, data.keys()))}")
    if match["column"] is not None:
        if value.dim() < 2 or int(match["column"]) >= value.size(1):
            raise LabelError(
                f"{where}: {match['key']} has the shape {list(value.shape)}, and no column {match['column']}"
            )
        value = value[:, int(match["column"])]
    return value.detach().cpu() if match["key"] == "z" else value.detach().cpu().double()


def _target(value: Tensor, n_atoms: int) -> Tensor:
    """``[N, …]`` for a value of every atom, and ``[1, …]`` for one of the structure."""
    if value.dim() == 0:
        return value.reshape(1)
    if value.size(0) == 1 or value.size(0) == n_atoms:
        return value.squeeze(-1) if value.dim() == 2 and value.size(1) == 1 else value
    return value.unsqueeze(0)
