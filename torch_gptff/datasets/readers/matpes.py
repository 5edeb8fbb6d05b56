"""MatPES: a list of ``{structure, energy, forces, stress, matpes_id, provenance, …}``.

Fields and units from the data page of the project (matpes.ai): total energy in eV, eV/Å, and VASP's stress in kbar,
positive under compression, its six components in Voigt order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch_gptff.datasets.frames import make_frame
from torch_gptff.datasets.readers.entries import require
from torch_gptff.datasets.readers.json_stream import stream_items
from torch_gptff.datasets.readers.structure_dict import atoms_of
from torch_gptff.graph import CrystalData
from torch_gptff.units import UnitConvention

CONVENTION = UnitConvention(stress_unit="kbar", positive="compression")


def read(path: Path) -> Iterator[CrystalData]:
    """The frames of the file. The material is the one of the Materials Project that a frame was made from.

    A ``null`` label is one that is not known. The source is ``MatPES-<functional>``: energies of different functionals
    have different references.

    Raises:
        UnreadableDataError: the file is truncated, or of another layout.
        LabelError, StructureError: see :func:`~torch_gptff.datasets.make_frame`.
    """
    for number, entry in stream_items(path):
        where = f"{path}, entry {number}"
        numbers, positions, cell, pbc = atoms_of(require(entry, "structure", where), where)
        functional = entry.get("functional")
        yield make_frame(
            numbers,
            positions,
            cell,
            pbc,
            energy=require(entry, "energy", where),
            forces=require(entry, "forces", where),
            stress=entry.get("stress"),
            convention=CONVENTION,
            where=where,
            source=f"MatPES-{functional}" if functional else "MatPES",
            material=_material(entry),
            frame_id=str(entry.get("matpes_id", f"{path.name}@{number}")),
        )


def _material(entry: Mapping[str, Any]) -> str | None:
    provenance = entry.get("provenance")
    known = provenance.get("original_mp_id") if isinstance(provenance, Mapping) else None
    return None if known is None else str(known)
