"""Records of a comparison of models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch_gptff.evaluation.report import QUANTITIES, Quantity
from torch_gptff.evaluation.scores import Scores
from torch_gptff.io.files import written_atomically
from torch_gptff.record import Record
from torch_gptff.report import Column

MEGABYTE = 1e6


def columns_of(kind: str) -> tuple[Column, ...]:
    """Columns of a table of compared models.

    Args:
        kind: ``"mae"`` or ``"rmse"``
    """

    def error(quantity: Quantity) -> Column:
        name = f"{quantity.name} {kind.upper()}"
        return Column(name, quantity.error_unit, value=lambda model: quantity.error(getattr(model, kind)))

    return (
        Column("parameters", value=lambda model: model.parameters),
        *map(error, QUANTITIES),
        Column("epoch", "s", 2, lambda model: model.seconds_per_epoch),
        Column("inference", "ms", 1, lambda model: 1e3 * model.seconds_per_inference),
        Column("memory", "MB", value=lambda model: round(model.memory / MEGABYTE)),
    )


@dataclass(frozen=True)
class ComparedModel(Record):
    """One model of a comparison.

    Attributes:
        label: name in the comparison
        model: registered name of the model
        parameters: number of trained parameters
        epochs: number of epochs
        seconds_per_epoch: duration of training and validation, median over the epochs, s
        seconds_per_inference: duration of energy, forces and stress of one frame, graph included: median over the first
            training frames, as many as a batch may hold
        memory: the most memory, in bytes, that two steps of training on these frames together need beyond model and
            batch: resident memory of a fresh process, or memory that PyTorch has allocated on the GPU, see
            :func:`~torch_gptff.comparison.memory.peak_memory`
        device: device of the measurements
        mae: mean absolute errors on the frames held out
        rmse: root mean square errors on them
    """

    columns: ClassVar[tuple[Column, ...]] = columns_of("mae")
    units: ClassVar[dict[str, str]] = {"seconds_per_epoch": "s", "seconds_per_inference": "s", "memory": "byte"}

    label: str
    model: str
    parameters: int
    epochs: int
    seconds_per_epoch: float
    seconds_per_inference: float
    memory: int
    device: str
    mae: Scores
    rmse: Scores

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> ComparedModel:
        """The model that :meth:`to_dict` gave; entries that are no fields are ignored."""
        return super().from_dict({"record": cls.__name__, **document})


@dataclass(frozen=True)
class Comparison(Record):
    """Models trained on the same frames with the same settings.

    Attributes:
        part: part of the data that was evaluated: ``"test"``, or ``"validation"`` where there is no test part
        counts: numbers of frames, atoms and known labels of that part
        models: the models, in their given order
    """

    part: str
    counts: dict[str, int]
    models: tuple[ComparedModel, ...]


def write_json(path: str | Path, document: Mapping[str, Any]) -> None:
    """Write a document, whole or not at all."""
    with written_atomically(path) as temporary:
        temporary.write_text(json.dumps(document, allow_nan=False) + "\n", encoding="utf-8")
