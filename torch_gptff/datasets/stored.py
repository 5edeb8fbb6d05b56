"""Base class of stored datasets: PyG's arguments, sources, and storage that is complete or absent."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import sys
import uuid
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch_geometric.data import Dataset
from torch_geometric.data.dataset import MISSING

from torch_gptff.datasets.fingerprints import frame_digest
from torch_gptff.datasets.index import DataFile, Index, refuse_link
from torch_gptff.datasets.sources import Source, Sources, as_sources, read_sources
from torch_gptff.errors import CorruptDatasetError, DatasetError
from torch_gptff.graph import CrystalData

Transform = Callable[[Any], Any]


class StoredFrames(Dataset, ABC):
    """A PyG dataset of frames that is stored under ``root/processed`` when it is first made.

    The frames are written under names of their own; the index beside them, written last, is what makes a dataset of
    them. An error in between, a full disk among them, takes them away again; what a killed process leaves is not taken
    for a dataset, and is removed when the next one is made. Several processes may ask for one dataset: the first makes
    it, the others wait.

    Subclasses set :attr:`kind` and write frames in :meth:`_write`.
    """

    kind: str
    """Kind of storage, with which the names of the files begin."""

    sources: tuple[Source, ...] | None
    index: Index

    @property
    def raw_file_names(self) -> list[str]:
        return []

    @property
    def processed_file_names(self) -> list[str]:
        return [f"{self.kind}.json"]

    @property
    def index_path(self) -> Path:
        """The index of the frames."""
        return Path(self.processed_paths[0])

    @property
    def stored_fingerprint(self) -> str | None:
        """The fingerprint of the frames as they were stored; ``None`` for a part of them."""
        return self.index.fingerprint if self._indices is None and self.root != MISSING else None

    def process(self) -> None:
        """Store the frames of the sources."""
        sources = self._sources()
        folder, build = self.index_path.parent, uuid.uuid4().hex[:8]
        previous = self._files_of(self.index_path)
        for left in self._own_files(folder) - previous:
            left.unlink()
        frames = _Fingerprinted(self._prepared(sources))
        try:
            files = self._write(frames, folder / f"{self.kind}-{build}")
            if not frames.number:
                raise DatasetError(f"{self.root}: no frame is left to store; does pre_filter refuse all?")
            sizes = [DataFile(file.name, number, file.stat().st_size) for file, number in files]
            made_of = [source.identity() for source in sources]
            index = Index(self.kind, frames.fingerprint(), tuple(sizes), made_of, self._preparation())
            index.write(self.index_path)
        except BaseException as error:
            for left in folder.glob(f"{self.kind}-{build}*"):
                left.unlink()
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise OSError(
                    errno.ENOSPC, f"no room left after {frames.number} frames; nothing is kept of them", str(folder)
                ) from error
            raise
        for old in previous:
            old.unlink()

    @abstractmethod
    def _write(self, frames: Iterable[CrystalData], stem: Path) -> Sequence[tuple[Path, int]]:
        """Write frames to files whose paths begin with ``stem``; return the files and the frames in each."""

    def _process(self) -> None:
        """Store the frames where that is not done yet. Instead of PyG's, which unpickles files of the folder."""
        if self.root == MISSING:
            return
        folder, lock = self.index_path.parent, self.index_path.with_suffix(".lock")
        for own in (folder, self.index_path, lock):
            refuse_link(own)
        if self.index_path.is_file() and not self.force_reload:
            return
        from filelock import FileLock

        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(lock):
                if self.force_reload or not self.index_path.is_file():  # another process may have made it meanwhile
                    self._tell("Processing...")
                    self.process()
                    self._tell("Done!")
        except BaseException:
            if not self.index_path.is_file():
                with suppress(OSError):  # where something else is there
                    lock.unlink()
                    folder.rmdir()
                    folder.parent.rmdir()
            raise

    def _read_index(self) -> Index:
        index = Index.read(self.index_path)
        if self.sources is not None:
            index.require_made_of([source.identity() for source in self.sources], self.index_path)
            for name, text in self._preparation().items():
                if text != (index.prepared_by or {}).get(name, text):
                    warnings.warn(
                        f"{self.root}: the `{name}` argument differs from the one that the frames were stored with; "
                        "pass force_reload=True to store them again",
                        stacklevel=4,
                    )
        return index

    def _preparation(self) -> dict[str, str]:
        """Names of the functions that are applied to stored frames, without addresses in memory."""
        steps = {"pre_transform": self.pre_transform, "pre_filter": self.pre_filter}
        return {name: re.sub(r"(<.*?)\s.*(>)", r"\1\2", str(step)) for name, step in steps.items()}

    def _tell(self, words: str) -> None:
        if self.log and "PYTEST_CURRENT_TEST" not in os.environ:
            print(words, file=sys.stderr)

    def _sources(self) -> tuple[Source, ...]:
        if self.sources is not None:
            return self.sources
        raw = Path(self.raw_dir)
        found = sorted(raw.iterdir()) if raw.is_dir() else []
        if not found and any(self.index_path.parent.glob(f"{self.kind}-*")):
            raise CorruptDatasetError(f"{self.root}: storing this dataset was never finished; store it again")
        if not found:
            raise DatasetError(f"{self.root}: nothing is stored here, and there is nothing to make it of: give sources")
        return tuple(Source(path) for path in found)

    def _prepared(self, sources: tuple[Source, ...]) -> Iterator[CrystalData]:
        for frame in read_sources(sources):
            if self.pre_filter is None or self.pre_filter(frame):
                yield frame if self.pre_transform is None else self.pre_transform(frame)

    def _own_files(self, folder: Path) -> set[Path]:
        """Files of datasets of this kind in a folder, those of a killed process included."""
        name = re.compile(rf"{self.kind}-[0-9a-f]{{8}}\W.*|\.{self.kind}-.*")
        return {file for file in folder.iterdir() if name.fullmatch(file.name) and not file.is_dir()}

    def _files_of(self, index_path: Path) -> set[Path]:
        """The files of the dataset that is there now; none where it is damaged."""
        try:
            return {index_path.parent / file.name for file in Index.read(index_path).files}
        except DatasetError:
            return set()


class _Fingerprinted(Iterable[CrystalData]):
    """Iterator over frames that counts and fingerprints them."""

    def __init__(self, frames: Iterator[CrystalData]) -> None:
        self._frames = frames
        self._hash = hashlib.sha256()
        self.number = 0

    def __iter__(self) -> Iterator[CrystalData]:
        for frame in self._frames:
            self.number += 1
            self._hash.update(frame_digest(frame))
            yield frame

    def fingerprint(self) -> str:
        return self._hash.hexdigest()


def chosen_sources(sources: Sources | None) -> tuple[Source, ...] | None:
    """The sources given, or ``None`` for whatever is stored or lies under ``root/raw``."""
    return None if sources is None else as_sources(sources)
