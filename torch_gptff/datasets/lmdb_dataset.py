"""Frames in LMDB, for datasets of any size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from torch_geometric.data import Dataset

from torch_gptff.datasets.sources import Sources
from torch_gptff.datasets.store import FRAMES_PER_SHARD, FrameStore, write_shards
from torch_gptff.datasets.stored import StoredFrames, Transform, chosen_sources
from torch_gptff.graph import CrystalData


class LMDBCrystalDataset(StoredFrames):
    """Frames in LMDB files: tens of millions of them in constant memory, read at random by many processes at once.

    Sources are streamed when they are stored, so they may be larger than memory as well. Other arguments and errors are
    those of :class:`~torch_gptff.datasets.CrystalDataset`.

    Args:
        frames_per_shard: number of frames in a file
    """

    kind = "lmdb"

    def __init__(
        self,
        root: str | Path,
        sources: Sources | None = None,
        transform: Transform | None = None,
        pre_transform: Transform | None = None,
        pre_filter: Transform | None = None,
        log: bool = True,
        force_reload: bool = False,
        frames_per_shard: int = FRAMES_PER_SHARD,
    ) -> None:
        self.sources = chosen_sources(sources)
        self.frames_per_shard = frames_per_shard
        Dataset.__init__(self, str(root), transform, pre_transform, pre_filter, log, force_reload)
        self.index = self._read_index()
        self._store = FrameStore(self.index, self.index_path.parent)

    def len(self) -> int:
        return len(self._store)

    def get(self, idx: int) -> CrystalData:
        return self._store[idx]

    def _write(self, frames: Iterable[CrystalData], stem: Path) -> Sequence[tuple[Path, int]]:
        return write_shards(frames, stem, self.frames_per_shard)
