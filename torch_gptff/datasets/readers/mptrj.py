"""MPtrj: relaxations of the Materials Project, ``{mp_id: {frame_id: {structure, energies, force, stress, magmom}}}``.

Deng et al., "CHGNet as a pretrained universal neural network potential", Nature Machine Intelligence 5, 1031 (2023);
fields and units from the description of the data (figshare 23713842): eV, eV/Å, and VASP's stress in kbar, which is
positive under compression.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from torch_gptff.datasets.frames import make_frame
from torch_gptff.datasets.readers.entries import require
from torch_gptff.datasets.readers.extras import kept_fields, kept_keys
from torch_gptff.datasets.readers.json_stream import stream_items
from torch_gptff.datasets.readers.structure_dict import atoms_of
from torch_gptff.errors import UnreadableDataError
from torch_gptff.graph import CrystalData
from torch_gptff.units import UnitConvention

TOTAL = UnitConvention(stress_unit="kbar", positive="compression", stress_order=None)
PER_ATOM = UnitConvention(energy="per atom", stress_unit="kbar", positive="compression", stress_order=None)

ENERGIES = {
    "corrected_total_energy": TOTAL,
    "uncorrected_total_energy": TOTAL,
    "energy_per_atom": PER_ATOM,
}
"""The energies that a frame may have, and their units. Corrected is by MP2020, and so is the energy per atom."""


OF_ATOMS = frozenset(("force", "magmom"))
"""The keys that have a value for every atom."""


def read(
    path: Path,
    *,
    energy_key: Literal[
        "corrected_total_energy", "uncorrected_total_energy", "energy_per_atom"
    ] = "corrected_total_energy",
    keep: str | Sequence[str] | None = None,
    keep_per_atom: str | Sequence[str] | None = None,
) -> Iterator[CrystalData]:
    """The frames of the file, material by material. A ``null`` label is one that is not known.

    Args:
        path: the JSON, or a compressed one
        energy_key: key of the energy that is the label. The corrected energy makes calculations with and without U
            comparable
        keep: other keys that become fields of the record, as ``"bandgap,magmom"``, see
            :func:`~torch_gptff.datasets.readers.extras.kept_keys`
        keep_per_atom: names of keys with a value for every atom that are kept too, as ``"magmoms=abs(magmom)"``

    Raises:
        UnreadableDataError: the file is truncated, or of another layout.
        LabelError, StructureError: see :func:`~torch_gptff.datasets.make_frame`.
    """
    if energy_key not in ENERGIES:
        raise UnreadableDataError(f"{path}: MPtrj has no energy {energy_key!r}; it has {', '.join(ENERGIES)}")
    kept = kept_keys(keep, keep_per_atom)
    for material, frames in stream_items(path):
        if not isinstance(frames, Mapping):
            raise UnreadableDataError(f"{path}, {material}: an object of frames is expected; is the format MPtrj's?")
        for frame_id, entry in frames.items():
            where = f"{path}, {material}, frame {frame_id}"
            numbers, positions, cell, pbc = atoms_of(require(entry, "structure", where), where)
            yield make_frame(
                numbers,
                positions,
                cell,
                pbc,
                energy=require(entry, energy_key, where),
                forces=require(entry, "force", where),
                stress=require(entry, "stress", where),
                convention=ENERGIES[energy_key],
                where=where,
                source="MPtrj",
                material=str(material),
                frame_id=str(frame_id),
                kept=kept_fields(kept, entry, OF_ATOMS, len(numbers), where),
            )
