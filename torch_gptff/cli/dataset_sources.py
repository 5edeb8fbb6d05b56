"""The data that ``torch-gptff dataset`` is given: found, read with a sign of life, stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from torch_gptff.cli.dataset_options import parsed
from torch_gptff.cli.output import make_progress
from torch_gptff.datasets import (
    NAMED,
    CrystalDataset,
    LMDBCrystalDataset,
    OnDiskCrystalDataset,
    Source,
    named_sources,
    open_dataset,
    read_sources,
)
from torch_gptff.datasets.extxyz import write_extxyz
from torch_gptff.graph import BondAngles, CrystalData, PeriodicRadiusGraph

KINDS: dict[str, Any] = {"lmdb": LMDBCrystalDataset, "on-disk": OnDiskCrystalDataset, "in-memory": CrystalDataset}

FRAMES_BETWEEN_SIGNS = 100


@dataclass(frozen=True)
class WatchedSource(Source):
    """A source that tells how many frames have been read."""

    tick: Callable[[], None] = field(default=lambda: None, compare=False)

    def read(self) -> Iterator[CrystalData]:
        for frame in super().read():
            self.tick()
            yield frame


def opened(
    data: Sequence[str], format: str | None, options: Sequence[str] | None, name: str | None, console: Console
) -> Any:
    """The dataset that data make together: a stored one where it lies, anything else in memory."""
    with watched(data, format, options, name, console) as sources:
        return open_dataset(sources)


@contextmanager
def watched(
    data: Sequence[str], format: str | None, options: Sequence[str] | None, name: str | None, console: Console
) -> Iterator[list[WatchedSource]]:
    """The sources of data, with a line of progress for as long as they are read."""
    with make_progress(console) as progress:
        task, read = progress.add_task("reading"), 0

        def tick() -> None:
            nonlocal read
            read += 1
            if read % FRAMES_BETWEEN_SIGNS == 0:
                progress.update(task, description=f"{read:,} frames")

        yield [
            WatchedSource(source.path, format or source.format, name, {**source.options, **parsed(options)}, tick)
            for each in data
            for source in (named_sources(each) if each in NAMED and not Path(each).exists() else [Source(each)])
        ]


def store(sources: Sequence[Source], out: Path, kind: str, cutoff: float | None, angle_cutoff: float | None) -> int:
    """Write the frames of sources, whole or not at all; return their number."""
    if out.suffix in (".extxyz", ".xyz"):
        return write_extxyz(out, read_sources(sources))
    from torch_geometric.transforms import Compose

    transforms: list[Any] = [] if cutoff is None else [PeriodicRadiusGraph(cutoff)]
    transforms += [] if angle_cutoff is None else [BondAngles(angle_cutoff)]
    graph = Compose(transforms) if transforms else None
    return len(KINDS[kind](out, sources, pre_transform=graph, log=False, force_reload=True))
