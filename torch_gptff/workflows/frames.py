"""Frames of files of any format, one after the other."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

from ase import Atoms
from ase.io import iread

from torch_gptff.errors import UnreadableStructureError
from torch_gptff.io.elements import check_trajectory
from torch_gptff.io.structures import read_labelled, split_index
from torch_gptff.workflows.md.trajectory import open_trajectory

STREAMED = (".xyz", ".extxyz", ".traj")
"""Endings of files whose frames are read one at a time."""


def iterate_labelled(path: str | Path) -> Iterator[tuple[str, Atoms]]:
    """Yield each structure of a file with its label, ``"md.xyz@7"``; long files are never held in memory.

    Args:
        path: a file, or ``file@index`` for a part of its frames, see :func:`~torch_gptff.io.structures.read_labelled`

    Raises:
        FileNotFoundError: no such file.
        StructureError: the file cannot be read.
    """
    file, index = split_index(str(path))
    if file.suffix in STREAMED and index is None:
        for number, atoms in enumerate(iterate_frames(file)):
            yield f"{file}@{number}", atoms
    else:
        yield from read_labelled(path).items()


def iterate_frames(path: str | Path) -> Iterator[Atoms]:
    """Give the frames of a file as they are read, in every format that ASE reads.

    A file that is cut off in the middle of a frame gives the whole frames before, and a warning.

    Args:
        path: a file, or ``file@index`` for a part of its frames: ``md.traj@1000:``, ``md.xyz@::10``

    Raises:
        FileNotFoundError: no such file.
        TrajectoryError, UnreadableStructureError: no frame of it can be read.
        UnknownElementError: the file does not say which elements its atoms are.
    """
    file, index = split_index(str(path))
    if file.suffix == ".traj":
        yield from open_trajectory(path)
        return
    if not file.is_file():
        raise FileNotFoundError(f"no trajectory {file}")
    check_trajectory(file)
    number = 0
    try:
        for atoms in iread(file.absolute(), index=slice(None) if index is None else index):
            yield atoms
            number += 1
    except GeneratorExit:
        raise
    except Exception as error:  # readers fail with whatever their parsers stumble over
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        if number == 0:
            raise UnreadableStructureError(f"cannot read a trajectory from {file} ({reason})") from error
        warnings.warn(f"{file} is cut off or damaged after {number} frames, which are used ({reason})", stacklevel=2)
    if number == 0:
        raise UnreadableStructureError(f"{path} holds no frame")
