"""Frames written as extended XYZ, for other programs to read."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from torch_geometric.data import Data

from torch_gptff.datasets.frames import ORIGIN, is_known
from torch_gptff.errors import DatasetError
from torch_gptff.graph.convert import to_ase
from torch_gptff.io.files import written_atomically


def write_extxyz(path: str | Path, frames: Iterable[Data]) -> int:
    """Write frames one by one, to a file that is there when all of them are; return their number.

    Labels that are known go under ASE's names, in ASE's units and signs; ``source``, ``material``, ``frame_id`` and
    ``split`` as such. Numbers have eight digits behind the point.

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
        write_xyz(file, atoms)
        number += 1
    if not number:
        raise DatasetError(f"{path}: there are no frames to write")
    return number
