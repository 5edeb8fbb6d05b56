"""Data of a run: frames, parts, graphs and loaders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from torch_gptff.datasets import Split
from torch_gptff.datasets.table import FrameTable
from torch_gptff.errors import TrainingError
from torch_gptff.graph import CrystalData
from torch_gptff.potential import Potential, Prediction
from torch_gptff.training.batching import BudgetSampler, Share
from torch_gptff.training.config import DataSettings, TrainingConfig
from torch_gptff.training.graphs import GraphFrames
from torch_gptff.training.loader import BudgetLoader
from torch_gptff.training.parts import divide
from torch_gptff.training.references import References, fitted, refitted, sample
from torch_gptff.training.sources import JoinedFrames

LOOKED_AT = 1000
"""Number of frames on which a checkpoint is evaluated before it is trained further."""


@dataclass(frozen=True)
class Part:
    """Frames for one purpose.

    Attributes:
        frames: frames of all sources
        numbers: numbers of the frames of this part, ascending
    """

    frames: JoinedFrames
    numbers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def titles(self) -> list[str]:
        """For each source, the name of the one whose reference of energy it has."""
        return [self.frames.sources[place].title for place in self.frames.reference_of]

    def taken(self, numbers: NDArray[np.int64]) -> list[CrystalData]:
        """Frames by their numbers."""
        return [self.frames[int(number)] for number in numbers]

    def __iter__(self) -> Iterator[CrystalData]:
        return (self.frames[int(number)] for number in self.numbers)

    def counted_from(self, references: References) -> Iterator[CrystalData]:
        """The frames, with the energies of all sources counted from one reference."""
        shifts = references.shifts(self.titles)
        for number in self.numbers.tolist():
            frame = self.frames[number]
            frame.energy = frame.energy - shifts[self.frames.source_of(number)][frame.z].sum()
            yield frame


@dataclass(frozen=True)
class TrainingData:
    """The frames of a run.

    Attributes:
        train: training frames, those that are replayed included
        validation: validation frames; empty where none are held out
        test: test frames; empty where none are held out
        split: division of ``train``
        pairs: pairs of elements that occur together in a training frame that is not replayed
    """

    train: Part
    validation: Part
    test: Part
    split: Split
    pairs: frozenset[tuple[int, int]]

    @classmethod
    def of(cls, settings: DataSettings, seed: int) -> TrainingData:
        """Open the sources and divide them.

        Raises:
            TrainingError: there is nothing to train on, or two sources have one name.
            FileNotFoundError, DatasetError, StructureError, SplitError: the files or the split cannot be used.
        """
        if not settings.train:
            raise TrainingError("there is nothing to train on: name files or folders in data.train")
        sources = (*settings.train, *settings.replay)
        titles = [source.title for source in sources]
        if len(set(titles)) < len(titles):
            raise TrainingError(f"two sources have one name among {', '.join(titles)}: give them names of their own")
        frames = JoinedFrames(sources)
        n_new = frames.ends[len(settings.train) - 1]
        table = FrameTable.of(frames[number] for number in range(n_new))
        split = divide(table, settings, seed)
        nothing = np.zeros(0, dtype=np.int64)
        parts = {name: Part(frames, split.parts.get(name, nothing)) for name in ("train", "validation", "test")}
        parts["train"] = Part(frames, np.concatenate([parts["train"].numbers, np.arange(n_new, len(frames))]))
        for name, own in (("validation", settings.validation), ("test", settings.test)):
            if own:
                held_out = JoinedFrames(own)
                parts[name] = Part(held_out, np.arange(len(held_out)))
        pairs = table.taken(split.parts["train"]).pairs_of_elements()
        return cls(parts["train"], parts["validation"], parts["test"], split, pairs)

    @property
    def sources(self) -> list[str]:
        """For each training source, the name of the one whose reference it has; that of the first is everyone's."""
        return self.train.titles


def train_loader(data: Part, frames: GraphFrames, config: TrainingConfig, rank: int, world_size: int) -> BudgetLoader:
    """The training batches of one process."""
    sampler = BudgetSampler(
        frames.costs(),
        config.batch,
        shares=shares(data, config),
        seed=config.seed,
        rank=rank,
        world_size=world_size,
    )
    return BudgetLoader(frames, sampler, config.data.workers)


def held_out_loader(frames: GraphFrames, config: TrainingConfig, rank: int, world_size: int) -> BudgetLoader:
    """The validation batches of one process: every frame once, in order."""
    sampler = BudgetSampler(frames.costs(), config.batch, shuffle=False, rank=rank, world_size=world_size)
    return BudgetLoader(frames, sampler, config.data.workers)


def shares(part: Part, config: TrainingConfig) -> list[Share]:
    """Number of frames of each source in an epoch, by their places in ``part.numbers``."""
    source_of = np.searchsorted(np.array(part.frames.ends), part.numbers, side="right")
    places = [np.flatnonzero(source_of == source) for source in range(len(part.frames.sources))]
    wanted = [len(each) * source.frequency for each, source in zip(places, part.frames.sources, strict=True)]
    new = len(config.data.train)
    if config.data.replay:
        fraction = config.data.replay_fraction
        replayed = sum(wanted[:new]) * fraction / (1 - fraction)
        wanted[new:] = [number * replayed / sum(wanted[new:]) for number in wanted[new:]]
    total = sum(wanted)
    scale = min(1.0, (config.frames_per_epoch or total) / total)
    drawn = [max(1, round(number * scale)) for number in wanted]
    return [Share(torch.from_numpy(each), n) for each, n in zip(places, drawn, strict=True) if len(each)]


def references_for(
    data: TrainingData, potential: Potential, seed: int, trained: bool, is_of_energies: bool = True
) -> tuple[References, list[CrystalData], list[Prediction]]:
    """The element energies to train with; for a potential that is trained already, with what it says of a sample.
    Where properties alone are trained, the elements' energies are zero.

    Raises:
        NoLabelsError: no energy is known.
    """
    first = data.sources[0]
    if not is_of_energies:
        elements = sorted({int(number) for frame in data.train for number in frame.z})
        return References({title: dict.fromkeys(elements, 0.0) for title in data.sources}, first), [], []
    if not trained:
        return fitted(iter(data.train), first), [], []
    frames: list[CrystalData] = []
    start = 0
    for end in data.train.frames.ends:
        of_source = data.train.numbers[(data.train.numbers >= start) & (data.train.numbers < end)]
        frames += data.train.taken(sample(of_source, LOOKED_AT // len(data.sources), seed))
        start = end
    predictions = Potential(potential.model).predict(frames)
    return refitted(potential, frames, predictions, first), frames, predictions
