"""Evaluation of a potential on labelled frames."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from torch_geometric.data import Data

from torch_gptff.datasets import LABELS
from torch_gptff.datasets.properties import property_of
from torch_gptff.errors import DatasetError, GPTFFError, NoLabelsError
from torch_gptff.evaluation.record import Evaluation
from torch_gptff.evaluation.scores import Compared
from torch_gptff.graph import CrystalData

if TYPE_CHECKING:
    from torch_gptff.potential import Potential, Prediction


FRAMES_AT_ONCE = 512
"""Number of frames that are predicted before their errors are computed."""


def evaluate(
    potential: Potential,
    frames: Iterable[Data],
    *,
    max_bonds: int = 60_000,
    max_angles: int = 120_000,
    energy_shift: Literal["elements"] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Predict labelled frames, and compare the predictions with the labels.

    Frames are taken as they come, and only labels and predictions are kept. A graph that a frame brings along is not
    used, since it may have been built with other cutoffs.

    Args:
        potential: on any device, in any precision
        frames: a dataset, or other frames as :mod:`torch_gptff.datasets` makes them; labels that are NaN are not known
        max_bonds: largest number of bonds in a batch, see :meth:`~torch_gptff.Potential.predict`
        max_angles: largest number of angles in a batch
        energy_shift: ``"elements"`` to fit :attr:`Evaluation.element_shifts`, where data and model have different
            energy references
        progress: called with the number of frames that were predicted so far

    Raises:
        DatasetError: there are no frames.
        NoLabelsError: nothing is known of any.
        StructureError: names a frame for which there is no energy, for one with an element that the model never saw.
        GPTFFError: names a frame for which the model's energy or forces are not finite.
    """
    gathered = _Gathered(potential.model.property_kinds)
    remaining = iter(frames)
    while group := _next_predictions(potential, gathered.passing(remaining, progress), max_bonds, max_angles):
        gathered.add(group)
    evaluation = gathered.evaluation()
    return evaluation if energy_shift is None else evaluation.with_element_shifts()


def _next_predictions(potential: Potential, frames: _Passing, max_bonds: int, max_angles: int) -> list[Prediction]:
    try:
        return potential.predict(frames, properties=True, max_bonds=max_bonds, max_angles=max_angles)
    except GPTFFError as error:
        if not frames.current:
            raise
        raise type(error)(f"{frames.current}: {error.__cause__ or error}") from error


@dataclass
class _Gathered:
    """Labels and predictions of the frames so far.

    Attributes:
        properties: properties that the model predicts beside the energy, and their kinds
    """

    properties: Mapping[str, str] = field(default_factory=dict)
    frame_id: list[str] = field(default_factory=list)
    source: list[str] = field(default_factory=list)
    material: list[str] = field(default_factory=list)
    numbers: list[Any] = field(default_factory=list)
    known: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    predicted: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))

    def passing(self, frames: Iterator[Data], progress: Callable[[int], None] | None) -> _Passing:
        return _Passing(self, itertools.islice(frames, FRAMES_AT_ONCE), progress)

    def add_labels(self, frame: Data) -> None:
        self.frame_id.append(frame.frame_id)
        self.source.append(frame.source)
        self.material.append(frame.material)
        self.numbers.append(frame.z.cpu().numpy())
        for label in LABELS:
            self.known[label].append(frame[label].double().cpu().numpy())
        for name, kind in self.properties.items():
            self.known[name].append(property_of(frame, name, kind).cpu().numpy())

    def add(self, predictions: Sequence[Prediction]) -> None:
        for prediction in predictions:
            assert prediction.forces is not None
            if not bool(prediction.energy.isfinite().all() and prediction.forces.isfinite().all()):
                name = self.frame_id[len(self.predicted["energy"])]
                raise GPTFFError(f"{name}: the model gives an energy or forces that are not finite numbers")
            for label in LABELS:
                self.predicted[label].append(getattr(prediction, label).double().numpy())
            for name, value in {**prediction.properties, **prediction.atom_properties}.items():
                self.predicted[name].append(value.double().numpy())

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
        properties = {}
        for name, kind in self.properties.items():
            rows = frame.repeat(n_atoms) if kind == "atom" else frame
            values = Compared(np.concatenate(self.known[name]), np.concatenate(self.predicted[name]), rows)
            if values.is_known.any():
                properties[name] = values
        if not properties and not any(each.is_known.any() for each in compared.values()):
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
            properties=properties,
        )


class _Passing(Iterable[CrystalData]):
    """The atoms of frames on their way to the model; their labels are gathered as they pass.

    Attributes:
        current: the name of the frame that the model looks at; empty while the next is read
    """

    def __init__(self, gathered: _Gathered, frames: Iterable[Data], progress: Callable[[int], None] | None) -> None:
        self._gathered = gathered
        self._frames = frames
        self._progress = progress
        self.current = ""

    def __iter__(self) -> Iterator[CrystalData]:
        for frame in self._frames:
            self._gathered.add_labels(frame)
            self.current = frame.frame_id
            yield CrystalData(z=frame.z, pos=frame.pos, cell=frame.cell, pbc=frame.pbc)
            self.current = ""
            if self._progress is not None:
                self._progress(len(self._gathered.frame_id))
