"""The frames of an ASE ``.traj`` file that are whole, also where the file was cut off or its index is lost.

ASE writes a frame behind all others, then its place into an index, then the number of frames into the header
(:mod:`ase.io.ulm`, version 3). A program that is killed leaves a file whose header counts whole frames only, and some
bytes behind them at most. A file that is truncated, by a full disk or an unfinished copy, may end before what its
header counts, or before its index; the frames themselves tell where they are, and the index is made anew from them.
"""

from __future__ import annotations

import json
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from torch_gptff.errors import TrajectoryError

MAGIC = b"- of Ulm"
HEADER_BYTES = 48
TAG_BYTES = 24  # the magic and the tag, before the numbers of the header
INDEX_GROWTH = 42  # an index has room for 1, 42, 42², ... frames
INT64 = np.dtype("<i8")


@dataclass(frozen=True)
class FrameIndex:
    """Places of the complete frames of a file.

    Attributes:
        offsets: of the description of each frame, bytes from the start of the file
        counted: frames that the header counts
        end: of the last whole frame, or of the index where that is farther on, bytes
        size: of the file, bytes
        is_sound: whether the file's own index tells the same
    """

    offsets: list[int]
    counted: int
    end: int
    size: int
    is_sound: bool

    @property
    def damage(self) -> str | None:
        """Description of what the file lacks; ``None`` for a complete file."""
        lost = self.counted - len(self.offsets)
        if lost > 0:
            return f"cut off after {self.size} bytes: the last {lost} of {self.counted} frames are lost"
        if self.size > self.end:
            return f"the last {self.size - self.end} bytes are a frame that was not finished"
        return None


def find_frames(path: Path) -> FrameIndex:
    """The whole frames of a file.

    Raises:
        TrajectoryError: it is no ``.traj`` file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
        if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
            if MAGIC.startswith(header[: len(MAGIC)]) and size <= HEADER_BYTES:
                return FrameIndex([], 0, 0, size, is_sound=False)  # killed before the first frame was written
            raise TrajectoryError(f"{path} is not a trajectory in ASE's .traj format")
        version, counted, table = np.frombuffer(header, INT64, 3, TAG_BYTES).tolist()
        if version != 3:
            raise TrajectoryError(f"{path} is of version {version} of ASE's .traj format; version 3 is known")
        table_end = table + 8 * _room(counted)
        has_table = table_end <= size
        if has_table:
            file.seek(table)
            offsets = np.frombuffer(file.read(8 * counted), INT64).tolist()
            while offsets and _end_of_frame(file, offsets[-1], size) is None:
                offsets.pop()
        else:
            offsets = _searched(file)[:counted]
        end = max(HEADER_BYTES, *(_end_of_frame(file, offset, size) or 0 for offset in offsets[-1:]))
        if has_table and len(offsets) == counted:
            end = max(end, table_end)
    return FrameIndex(offsets, counted, end, size, is_sound=has_table and len(offsets) == counted)


def index_bytes(offsets: list[int], place: int) -> tuple[bytes, bytes]:
    """The numbers of the header, which stand at ``TAG_BYTES``, and the index, which stands at ``place``."""
    table = np.full(_room(len(offsets)), -1 if not offsets else 0, INT64)
    table[: len(offsets)] = offsets
    return np.array([3, len(offsets), place], INT64).tobytes(), table.tobytes()


def keep_frames(path: Path, n_frames: int) -> None:
    """Cut a file after its first frames, and write its index anew, so that more can be appended.

    Raises:
        TrajectoryError: the file has fewer whole frames.
    """
    index = find_frames(path)
    if n_frames > len(index.offsets):
        raise TrajectoryError(f"{path} has {len(index.offsets)} whole frames, and {n_frames} are to be kept")
    if n_frames == 0:
        path.write_bytes(b"")
        return
    with path.open("r+b") as file:
        offsets = index.offsets[:n_frames]
        end = _end_of_frame(file, offsets[-1], index.size)
        assert end is not None  # it is whole
        place = -(-end // 8) * 8
        numbers, table = index_bytes(offsets, place)
        # The index comes first, so that a kill between the two writes leaves a file that can still be read.
        file.truncate(place)
        file.seek(place)
        file.write(table)
        file.flush()
        file.seek(TAG_BYTES)
        file.write(numbers)


class WithIndex:
    """A file to read, as it would be with another index: for :class:`ase.io.ulm.Reader`, which needs one."""

    def __init__(self, path: Path, index: FrameIndex) -> None:
        self._file = path.open("rb")
        self._numbers, self._table = index_bytes(index.offsets, index.size)
        self._size = index.size
        self._place = 0

    def seek(self, place: int) -> None:
        self._place = int(place)

    def tell(self) -> int:
        return self._place

    def read(self, n_bytes: int) -> bytes:
        if self._place >= self._size:
            start = self._place - self._size
            data = self._table[start : start + n_bytes]
        else:
            self._file.seek(self._place)
            data = self._file.read(n_bytes)
            if self._place < HEADER_BYTES:
                header = bytearray(data)
                for k in range(max(self._place, TAG_BYTES), min(self._place + n_bytes, HEADER_BYTES)):
                    header[k - self._place] = self._numbers[k - TAG_BYTES]
                data = bytes(header)
        self._place += len(data)
        return data

    def close(self) -> None:
        self._file.close()


def _room(n_frames: int) -> int:
    room = 1
    while room < n_frames:
        room *= INDEX_GROWTH
    return room


def _end_of_frame(file: BinaryIO, offset: int, size: int) -> int | None:
    """End of the frame whose description is at ``offset``; ``None`` for an incomplete frame."""
    if not 0 < offset <= size - 8:
        return None
    file.seek(offset)
    length = int(np.frombuffer(file.read(8), INT64)[0])
    if not 0 < length <= size - offset - 8:
        return None
    try:
        description = json.loads(file.read(length))
    except ValueError:  # also of bytes that are no text
        return None
    inside = all(
        place + int(np.prod(shape)) * np.dtype(dtype).itemsize <= offset for shape, dtype, place in _arrays(description)
    )
    return offset + 8 + length if inside else None


def _arrays(description: Any) -> list[tuple[list[int], str, int]]:
    if not isinstance(description, dict):
        return []
    found = [description["ndarray"]] if "ndarray" in description else []
    return found + [array for value in description.values() for array in _arrays(value)]


def _searched(file: BinaryIO) -> list[int]:
    """The descriptions of whole frames, found by what they begin with: those of the first, and of all others."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        size, place = len(data), HEADER_BYTES
        offsets: list[int] = []
        while True:
            found = [hit for start in _STARTS if (hit := data.find(start, place)) >= 0]
            if not found:
                return offsets
            offset = min(found) - 8
            end = _end_of_frame(file, offset, size)
            if end is not None:
                offsets.append(offset)
            place = end or offset + 9


_STARTS = (b'{"version": ', b'{"positions.": ', b'{"pbc": ')
