"""Frames on disk, in PyG's own database."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Dataset, OnDiskDataset, SQLiteDatabase

from torch_gptff.datasets.record import decode, encode
from torch_gptff.datasets.sources import Sources
from torch_gptff.datasets.stored import StoredFrames, Transform, chosen_sources
from torch_gptff.errors import CorruptDatasetError
from torch_gptff.graph import CrystalData

TABLE = "frames"
SCHEMA: Any = {"record": {"dtype": torch.uint8, "size": (-1,)}}

BATCH = 1000
"""Number of frames that are written in one transaction."""


class OnDiskCrystalDataset(StoredFrames, OnDiskDataset):
    """Frames in an SQLite database, read one by one: for what does not fit in memory and needs no further package.

    Arguments and errors are those of :class:`~torch_gptff.datasets.CrystalDataset`.
    """

    kind = "on-disk"

    def __init__(
        self,
        root: str | Path,
        sources: Sources | None = None,
        transform: Transform | None = None,
        pre_transform: Transform | None = None,
        pre_filter: Transform | None = None,
        log: bool = True,
        force_reload: bool = False,
    ) -> None:
        self.sources = chosen_sources(sources)
        self.backend = "sqlite"
        self.schema = SCHEMA
        self._db: Any = None
        self._opened_by = 0
        # OnDiskDataset's own __init__ takes neither pre_transform nor force_reload.
        Dataset.__init__(self, str(root), transform, pre_transform, pre_filter, log, force_reload)
        self.index = self._read_index()
        self._numel = self.index.n_frames

    @property
    def db(self) -> Any:
        """The database, opened by each process for itself, since a connection must not cross a fork."""
        if self._db is None or self._opened_by != os.getpid():
            self._db = StoredDatabase(self.index_path.parent / self.index.files[0].name)
            self._opened_by = os.getpid()
        return self._db

    def serialize(self, data: CrystalData) -> dict[str, Tensor]:
        return {"record": torch.frombuffer(bytearray(encode(data)), dtype=torch.uint8)}

    def deserialize(self, data: dict[str, Tensor]) -> CrystalData:
        return decode(memoryview(data["record"].numpy()))  # type: ignore[arg-type]

    def get(self, idx: int) -> CrystalData:
        try:
            return super().get(idx)
        except (sqlite3.DatabaseError, CorruptDatasetError, TypeError) as error:
            raise CorruptDatasetError(
                f"{self.root}: frame {idx} is damaged ({error}); store the dataset again"
            ) from error

    def __getitems__(self, indices: list[int]) -> list[CrystalData]:
        # PyG's own gives the frames of the whole dataset when this is a part of it.
        return [self[index] for index in indices]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_db": None}

    def _write(self, frames: Iterable[CrystalData], stem: Path) -> Sequence[tuple[Path, int]]:
        file = stem.with_name(f"{stem.name}.db")
        number, iterator = 0, iter(frames)
        database = SQLiteDatabase(str(file), TABLE, SCHEMA)
        try:
            while batch := list(islice(iterator, BATCH)):
                rows = [self.serialize(frame) for frame in batch]
                database.multi_insert(range(number, number + len(rows)), rows)
                number += len(rows)
        except sqlite3.OperationalError as error:
            if "full" in str(error):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file)) from error
            raise
        finally:
            database.close()
        return [(file, number)]


class StoredDatabase(SQLiteDatabase):
    """A database that is read and never written, not even by a journal that lies beside it."""

    def __init__(self, file: Path) -> None:
        super().__init__(str(file), TABLE, SCHEMA)

    def connect(self) -> None:
        address = f"{Path(self.path).resolve().as_uri()}?mode=ro&immutable=1"
        self._connection = sqlite3.connect(address, uri=True)
        self._cursor = self._connection.cursor()
