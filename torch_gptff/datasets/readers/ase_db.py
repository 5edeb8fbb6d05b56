"""ASE databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch_gptff.datasets.readers.ase_atoms import frames_of_atoms
from torch_gptff.datasets.readers.extras import kept_keys
from torch_gptff.datasets.readers.files import is_set, stem
from torch_gptff.datasets.readers.labels import LabelFinder, LabelKeys
from torch_gptff.errors import UnreadableDataError
from torch_gptff.graph import CrystalData

if TYPE_CHECKING:
    from ase import Atoms


def read(
    path: Path,
    *,
    energy_key: str | None = None,
    forces_key: str | None = None,
    stress_key: str | None = None,
    naming: str | None = None,
    unconverged: bool | str = False,
    keep: str | Sequence[str] | None = None,
    keep_per_atom: str | Sequence[str] | None = None,
) -> Iterator[CrystalData]:
    """The rows of a database, in the order of their ids. Key-value pairs of a row count as ``atoms.info``.

    Args:
        path: the file
        energy_key: where the energy is; by default ASE's ``energy``, unless there is a key ``REF_energy``
        forces_key: the same of forces
        stress_key: the same of stress
        naming: the prefix of the keys, as ``"REF_"``, or ``"plain"``; rows without such labels stay without any
        unconverged: take rows with ``converged=False``, too
        keep: other keys that become fields of the record, as ``"band_gap,magmom"``, see
            :func:`~torch_gptff.datasets.readers.extras.kept_keys`
        keep_per_atom: names of keys with a value for every atom that are kept too, as ``"magmoms=abs(magmom)"``

    Raises:
        UnreadableDataError: the file is not a database of ASE, or damaged.
        LabelError, StructureError: see :func:`~torch_gptff.datasets.make_frame`.
    """
    kept = kept_keys(keep, keep_per_atom)
    keys = LabelKeys(energy_key, forces_key, stress_key, naming, is_set(unconverged, "unconverged"), kept)
    labels = LabelFinder(path, keys)
    yield from frames_of_atoms(_rows(path), labels, source=stem(path))
    labels.tell()


def _rows(path: Path) -> Iterator[tuple[Atoms, str, str]]:
    """The ``Atoms`` of each row, where it is, and its name."""
    from ase.db import connect

    row_id = 0
    try:
        for row in connect(path.absolute(), use_lock_file=False).select(sort="id"):
            row_id = row.id
            atoms = row.toatoms()
            atoms.info.update({**row.key_value_pairs, **row.data})
            yield atoms, f"{path}, row {row_id}", f"{path.name}@{row_id}"
    except Exception as error:  # ASE and the database behind it raise what they happen to meet
        raise UnreadableDataError(f"{path}: not an ASE database, or damaged behind row {row_id} ({error})") from error
