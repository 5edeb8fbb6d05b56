"""Predictions beside what is known: a potential run over labelled frames."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from torch_geometric.data import Data

from torch_gptff.datasets import LABELS
from torch_gptff.errors import DatasetError, GPTFFError, NoLabelsError
from torch_gptff.graph import CrystalData
from torch_gptff.training.evaluation_record import Evaluation, FrameErrors, GroupErrors
from torch_gptff.training.scores import Compared, Scores

if TYPE_CHECKING:
    from torch_gptff.potential import Potential, Prediction

__all__ = ["Compared", "Evaluation", "FrameErrors", "GroupErrors", "Scores", "evaluate"]

FRAMES_AT_ONCE = 512
"""That are in memory with their structures; of the others, labels and predictions alone."""


def evaluate(
    potential: Potential,
    frames: Iterable[Data],
    *,
    max_bonds: int = 60_000,
    max_angles: int = 120_000,
    energy_shift: Literal["elements"] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Predict labelled frames, and put the predictions beside the labels.

    Frames are taken as they come, and only labels and predictions are kept. A graph that a frame brings along is not
    used, since it may have been built with other cutoffs.

    Args:
        potential: on any device, in any precision
        frames: a dataset, or other frames as :mod:`torch_gptff.datasets` makes them; labels that are NaN are not known
        max_bonds: of a batch, see :meth:`~torch_gptff.Potential.predict`
        max_angles: of a batch
        energy_shift: ``"elements"`` to fit :attr:`Evaluation.element_shifts`, where data and model count energies from
            other references
        progress: called with the number of frames that are done, now and then

    Raises:
        DatasetError: there are no frames.
        NoLabelsError: nothing is known of any.
        StructureError: names a frame for which there is no energy, for one with an element that the model never saw.
        GPTFFError: names a frame for which the model's energy or forces are not finite.
    """
    gathered = _Gathered()
    remaining = iter(frames)
    while group := list(itertools.islice(remaining, FRAMES_AT_ONCE)):
        current = _Named(group)
        try:
            predictions = potential.predict(current, max_bonds=max_bonds, max_angles=max_angles)
        except GPTFFError as error:
            raise type(error)(f"{current.name}: {error.__cause__ or error}") from error
        for frame, prediction in zip(group, predictions, strict=True):
            gathered.add(frame, prediction)
        if progress is not None:
            progress(len(gathered.frame_id))
    evaluation = gathered.evaluation()
    return evaluation if energy_shift is None else evaluation.with_element_shifts()


class _Named(Iterable[CrystalData]):
    """The atoms of frames, and the name of the one that is being looked at."""

    def __init__(self, frames: Sequence[Data]) -> None:
        self._frames = frames
        self.name = ""

    def __iter__(self) -> Iterator[CrystalData]:
        for frame in self._frames:
            self.name = frame.frame_id
            yield CrystalData(z=frame.z, pos=frame.pos, cell=frame.cell, pbc=frame.pbc)


@dataclass
class _Gathered:
    """Labels and predictions of the frames so far."""

    frame_id: list[str] = field(default_factory=list)
    source: list[str] = field(default_factory=list)
    material: list[str] = field(default_factory=list)
    numbers: list[Any] = field(default_factory=list)
    known: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    predicted: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))

    def add(self, frame: Data, prediction: Prediction) -> None:
        assert prediction.forces is not None
        assert prediction.stress is not None
        if not bool(prediction.energy.isfinite().all() and prediction.forces.isfinite().all()):
            raise GPTFFError(f"{frame.frame_id}: the model gives an energy or forces that are not finite numbers")
        self.frame_id.append(frame.frame_id)
        self.source.append(frame.source)
        self.material.append(frame.material)
        self.numbers.append(frame.z.cpu().numpy())
        for label in LABELS:
            self.known[label].append(frame[label].double().cpu().numpy())
            self.predicted[label].append(getattr(prediction, label).double().numpy())

    def evaluation(self) -> Evaluation:
        if not self.frame_id:
            raise DatasetError("there are no frames to evaluate")
        n_atoms = np.array([len(numbers) for numbers in self.numbers])
        frame = np.arange(len(n_atoms))
        compared = {}
        for label in LABELS:
            known, predicted = np.concatenate(self.known[label]), np.concatenate(self.predicted[label])
            per = n_atoms if label == "energy" else 1
            compared[label] = Compared(
                known / per, predicted / per, frame.repeat(n_atoms) if label == "forces" else frame
            )
        if not any(each.is_known.any() for each in compared.values()):
            raise NoLabelsError(f"of {len(n_atoms)} frames, none has a known energy, forces or stress to compare with")
        return Evaluation(
            frame_id=tuple(self.frame_id),
            source=tuple(self.source),
            material=tuple(self.material),
            n_atoms=n_atoms,
            numbers=np.concatenate(self.numbers).astype(np.int64),
            energy_per_atom=compared["energy"],
            forces=compared["forces"],
            stress=compared["stress"],
        )
