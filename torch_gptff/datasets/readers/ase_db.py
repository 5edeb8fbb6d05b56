"""ASE databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch_gptff.datasets.readers.ase_atoms import LabelKeys, frame_of_atoms
from torch_gptff.datasets.readers.files import stem
from torch_gptff.errors import GPTFFError, UnreadableDataError
from torch_gptff.graph import CrystalData
from torch_gptff.units import UnitConvention


def read(
    path: Path,
    *,
    energy_key: str | None = None,
    forces_key: str | None = None,
    stress_key: str | None = None,
) -> Iterator[CrystalData]:
    """The rows of a database, in the order of their ids. Key-value pairs of a row count as ``atoms.info``.

    Args:
        path: the file
        energy_key: where the energy is; by default ASE's ``energy``
        forces_key: the same of forces
        stress_key: the same of stress

    Raises:
        UnreadableDataError: the file is not a database of ASE, or damaged.
        LabelError, StructureError: see :func:`~torch_gptff.datasets.make_frame`.
    """
    from ase.db import connect

    keys = LabelKeys(energy_key, forces_key, stress_key)
    row_id = 0
    try:
        for row in connect(path, use_lock_file=False).select(sort="id"):
            row_id = row.id
            atoms = row.toatoms()
            atoms.info.update({**row.key_value_pairs, **row.data})
            where, frame_id = f"{path}, row {row_id}", f"{path.name}@{row_id}"
            yield frame_of_atoms(atoms, keys, UnitConvention(), where=where, source=stem(path), frame_id=frame_id)
    except GPTFFError:
        raise
    except Exception as error:  # ASE and the database behind it raise what they happen to meet
        raise UnreadableDataError(f"{path}: not an ASE database, or damaged behind row {row_id} ({error})") from error
