"""The frames of several sources as one sequence."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from torch_gptff.datasets import NAMED, Source, named_sources, open_dataset
from torch_gptff.errors import ConfigError
from torch_gptff.graph import CrystalData
from torch_gptff.training.config import SourceSettings


class JoinedFrames(Dataset):
    """The frames of several sources, one source after another, each with the name of the source whose reference it has.

    Args:
        sources: settings of the sources; a stored dataset is read in its place, anything else into memory

    Attributes:
        sources: settings of the sources
        ends: the number of frames up to the end of each source
        reference_of: for each source, the place of the one whose reference of energy it has

    Raises:
        ConfigError: a source shares the reference of an unknown source, or of one without a reference of its own.
        FileNotFoundError, DatasetError, StructureError: see :func:`~torch_gptff.datasets.open_dataset`.
    """

    def __init__(self, sources: Sequence[SourceSettings]) -> None:
        self.sources = tuple(sources)
        self._datasets = [opened(source) for source in sources]
        self.ends = list(accumulate(len(dataset) for dataset in self._datasets))
        self.reference_of = _references(self.sources)

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def __getitem__(self, number: int) -> CrystalData:
        place = self.source_of(number)
        frame = self._datasets[place][number - (self.ends[place - 1] if place else 0)]
        frame.source = self.sources[self.reference_of[place]].title
        return frame

    def __iter__(self) -> Iterator[CrystalData]:
        return (self[number] for number in range(len(self)))

    def source_of(self, number: int) -> int:
        """Number of the source of a frame."""
        return bisect_right(self.ends, number)


def _references(sources: Sequence[SourceSettings]) -> list[int]:
    own = {source.title: place for place, source in enumerate(sources) if source.reference is None}
    for source in sources:
        if source.reference is not None and source.reference not in own:
            raise ConfigError(
                f"{source.path} shares the reference of {source.reference!r}, and the sources that have one of their "
                f"own are {', '.join(own) or 'none'}"
            )
    return [place if source.reference is None else own[source.reference] for place, source in enumerate(sources)]


def opened(source: SourceSettings) -> Any:
    """The dataset of a source: one that is stored, a file or folder, or a published one by name."""
    if source.path in NAMED and source.format is None and not Path(source.path).exists():
        return open_dataset(named_sources(source.path))
    if source.format is None and not source.options:
        return open_dataset(source.path)
    return open_dataset(Source(source.path, source.format, options=source.options))
