"""Writing of frames as extended XYZ for other programs."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from torch_geometric.data import Data

from torch_gptff.datasets.frames import LABELS, ORIGIN, is_known
from torch_gptff.errors import DatasetError
from torch_gptff.graph.convert import to_ase
from torch_gptff.io.files import written_atomically

if TYPE_CHECKING:
    from ase import Atoms

NOT_KEPT = {"z", "pos", "cell", "pbc", "edge_index", "edge_shift", "angle_index", *LABELS, *ORIGIN}
"""Fields of a frame that are written in another form, or computed by readers."""


def write_extxyz(path: str | Path, frames: Iterable[Data]) -> int:
    """Write frames one by one, to a file that is there when all of them are; return their number.

    Labels that are known go under ASE's names, in ASE's units and signs; ``source``, ``material``, ``frame_id``,
    ``split`` and other fields that were kept as such. Bonds and angles are not written. Numbers have eight digits
    behind the point.

    Raises:
        DatasetError: there are no frames.
        OSError: the disk is full, or cannot be written.
    """
    try:
        with written_atomically(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            return _write(file, path, frames)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OSError(errno.ENOSPC, "no room left; nothing is kept", str(path)) from error
        raise


def _write(file: IO[str], path: str | Path, frames: Iterable[Data]) -> int:
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io.extxyz import write_xyz
    from ase.stress import full_3x3_to_voigt_6_stress

    number = 0
    for frame in frames:
        atoms = to_ase(frame)
        labels = {}
        if bool(is_known(frame, "energy")):
            labels["energy"] = float(frame.energy)
        if bool(is_known(frame, "forces").all()):
            labels["forces"] = frame.forces.numpy()
        if bool(is_known(frame, "stress")):
            labels["stress"] = full_3x3_to_voigt_6_stress(frame.stress[0].numpy())
        atoms.calc = SinglePointCalculator(atoms, **labels)
        atoms.info.update({key: frame[key] for key in ORIGIN if frame[key]})
        _add_kept(atoms, frame)
        write_xyz(file, atoms)
        number += 1
    if not number:
        raise DatasetError(f"{path}: there are no frames to write")
    return number


def _add_kept(atoms: Atoms, frame: Data) -> None:
    """Give the atoms what a reader kept: ``[N, ...]`` of each atom, ``[1, ...]`` or a text of the frame."""
    for key, value in frame.to_dict().items():
        if key in NOT_KEPT:
            continue
        if isinstance(value, str):
            atoms.info[key] = value
        elif len(value) == len(atoms) > 1:
            atoms.arrays[key] = value.flatten(1).numpy() if value.dim() > 1 else value.numpy()
        else:
            atoms.info[key] = value[0].numpy() if value.dim() > 1 else float(value)
