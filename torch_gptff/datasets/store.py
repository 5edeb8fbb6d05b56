"""Frames in LMDB: memory-mapped files that any number of processes read at once, in any order.

Frames lie in blocks, one block a value, since LMDB would round every single frame of more than half a page up to whole
pages. A block is the ends of its frames (u32 each), then the frames: see :mod:`torch_gptff.datasets.record`.
"""

from __future__ import annotations

import errno
import os
import shutil
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from pathlib import Path
from typing import TYPE_CHECKING

from torch_gptff.datasets.index import Index
from torch_gptff.datasets.record import decode, encode
from torch_gptff.errors import CorruptDatasetError, DatasetError
from torch_gptff.graph import CrystalData
from torch_gptff.io.files import FULL

if TYPE_CHECKING:
    import lmdb

FRAMES_PER_BLOCK = 32
"""Number of frames in a block. It is part of the format: a change needs a new ``datasets.index.VERSION``."""

FRAMES_PER_SHARD = 1_000_000

_BLOCKS_PER_COMMIT = 32
_FIRST_MAP_SIZE = 1 << 20
"""Initial size of the memory map, bytes. It grows as needed."""


def write_shards(
    frames: Iterable[CrystalData], stem: Path, frames_per_shard: int = FRAMES_PER_SHARD
) -> Sequence[tuple[Path, int]]:
    """Write frames to files ``<stem>-00000.mdb``, ``<stem>-00001.mdb``, …; return the files and the frames in each.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    files: list[tuple[Path, int]] = []
    iterator = iter(frames)
    for first in iterator:
        file = stem.with_name(f"{stem.name}-{len(files):05d}.mdb")
        files.append((file, _write_shard(file, _chain(first, islice(iterator, frames_per_shard - 1)))))
    return files


def _chain(first: CrystalData, rest: Iterator[CrystalData]) -> Iterator[CrystalData]:
    yield first
    yield from rest


def _write_shard(file: Path, frames: Iterator[CrystalData]) -> int:
    lmdb = _lmdb()
    number = n_blocks = 0
    try:
        environment = lmdb.open(str(file), subdir=False, lock=False, sync=False, map_size=_FIRST_MAP_SIZE)
        try:
            while blocks := list(islice(_blocks(frames), _BLOCKS_PER_COMMIT)):
                _put(environment, [(n_blocks + k, block) for k, (block, _) in enumerate(blocks)])
                n_blocks += len(blocks)
                number += sum(length for _, length in blocks)
            environment.sync(True)
        finally:
            environment.close()
    except lmdb.Error as error:
        # LMDB calls it an input/output error when a part could still be written.
        if isinstance(error, lmdb.DiskError) or shutil.disk_usage(file.parent).free < FULL:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file)) from error
        raise OSError(errno.EIO, f"LMDB cannot write ({error})", str(file)) from error
    return number


def _blocks(frames: Iterator[CrystalData]) -> Iterator[tuple[bytes, int]]:
    while records := [encode(frame) for frame in islice(frames, FRAMES_PER_BLOCK)]:
        ends = accumulate(map(len, records))
        yield struct.pack(f"<{len(records)}I", *ends) + b"".join(records), len(records)


def _put(environment: lmdb.Environment, blocks: Sequence[tuple[int, bytes]]) -> None:
    """Append blocks in one transaction, in a map twice as large where they do not fit."""
    lmdb = _lmdb()
    while True:
        try:
            with environment.begin(write=True) as transaction:
                for number, block in blocks:
                    transaction.put(_key(number), block, append=True)
            return
        except lmdb.MapFullError:
            environment.set_mapsize(2 * environment.info()["map_size"])


def _key(block: int) -> bytes:
    return block.to_bytes(8, "big")  # LMDB sorts keys as bytes


class FrameStore(Sequence[CrystalData]):
    """Access by number to the frames of an index. Copies in other processes open the files themselves."""

    def __init__(self, index: Index, folder: Path) -> None:
        self._files = [str(folder / file.name) for file in index.files]
        self._ends = list(accumulate(file.frames for file in index.files))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, number: int) -> CrystalData:  # type: ignore[override]  # no slices
        """The frame.

        Raises:
            IndexError: there is no frame of this number.
            CorruptDatasetError: it is damaged.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"frame {number} of {len(self)}")
        shard = bisect_right(self._ends, number)
        first = self._ends[shard - 1] if shard else 0
        block, place = divmod(number - first, FRAMES_PER_BLOCK)
        n_in_block = min(FRAMES_PER_BLOCK, self._ends[shard] - first - block * FRAMES_PER_BLOCK)
        file = self._files[shard]
        try:
            with _environment(file).begin(buffers=True) as transaction:
                value = transaction.get(_key(block))
                if value is None:
                    raise CorruptDatasetError("it is missing")
                ends = (0, *(4 * n_in_block + end for end in struct.unpack_from(f"<{n_in_block}I", value)))
                start = ends[place] if place else 4 * n_in_block
                return decode(value[start : ends[place + 1]])
        except (_lmdb().Error, CorruptDatasetError, struct.error) as error:
            raise CorruptDatasetError(
                f"{file}: frame {number} is damaged ({error}); store the dataset again"
            ) from error


_ENVIRONMENTS: dict[str, lmdb.Environment] = {}
"""Open files of this process. LMDB allows a file to be opened once in a process, and not to be used after a fork."""

_opened_by = os.getpid()


def _environment(file: str) -> lmdb.Environment:
    global _opened_by
    if _opened_by != os.getpid():
        for inherited in _ENVIRONMENTS.values():
            inherited.close()  # closes it in this process only
        _ENVIRONMENTS.clear()
        _opened_by = os.getpid()
    if file not in _ENVIRONMENTS:
        _ENVIRONMENTS[file] = _lmdb().open(
            file, subdir=False, readonly=True, lock=False, readahead=False, meminit=False, max_spare_txns=8
        )
    return _ENVIRONMENTS[file]


def _lmdb():  # type: ignore[no-untyped-def]  # a module, imported when it is first needed
    try:
        import lmdb
    except ImportError as error:
        raise DatasetError("datasets in LMDB need the package lmdb: pip install torch-gptff[lmdb]") from error
    return lmdb
