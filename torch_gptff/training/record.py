"""Records of training: the epochs of a run, its learning curves, and the run as a whole."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from torch_gptff.errors import TrainingError
from torch_gptff.evaluation.record import Evaluation
from torch_gptff.evaluation.report import QUANTITIES, Quantity
from torch_gptff.evaluation.scores import Floats, Scores
from torch_gptff.record import Record
from torch_gptff.report import Column
from torch_gptff.training.files import BEST, COLUMNS, EVALUATION

VALIDATED = {"val_energy_mae": QUANTITIES[0], "val_forces_mae": QUANTITIES[1], "val_stress_mae": QUANTITIES[2]}
"""Quantities of the validation errors of an epoch."""


def _validation_column(name: str) -> Column:
    quantity = VALIDATED[name]

    def value(epoch: Epoch) -> float | None:
        error = getattr(epoch, name)
        return None if error is None else float(error * quantity.error_factor)

    return Column(f"{quantity.name} MAE", quantity.error_unit, value=value, optional=True)


@dataclass(frozen=True)
class Epoch(Record):
    """Metrics of one epoch of a training run.

    Attributes:
        epoch: number of the epoch, counted from 0
        step: number of optimizer steps at its end
        lr: learning rate at its end
        train_loss: mean loss of the training batches
        val_loss: loss of the validation frames; ``None`` without any
        val_energy_mae: mean absolute error of the energies of the validation frames, eV per atom; ``None`` without any
        val_forces_mae: mean absolute error of their force components, eV/Å
        val_stress_mae: mean absolute error of their stress components, eV/Å³
        seconds: duration; ``None`` in files of version 0.1
    """

    units: ClassVar[dict[str, str]] = {
        "val_energy_mae": "eV/atom",
        "val_forces_mae": "eV/Å",
        "val_stress_mae": "eV/Å³",
        "seconds": "s",
    }
    columns: ClassVar[tuple[Column, ...]] = (
        Column("epoch", value=lambda epoch: epoch.epoch),
        Column("step", value=lambda epoch: epoch.step),
        Column("learning rate", value=lambda epoch: epoch.lr),
        Column("training loss", value=lambda epoch: epoch.train_loss),
        Column("validation loss", value=lambda epoch: epoch.val_loss, optional=True),
        *map(_validation_column, VALIDATED),
        Column("time", "s", 1, lambda epoch: epoch.seconds, optional=True),
    )

    epoch: int
    step: int
    lr: float
    train_loss: float | None
    val_loss: float | None = None
    val_energy_mae: float | None = None
    val_forces_mae: float | None = None
    val_stress_mae: float | None = None
    seconds: float | None = None

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Epoch:
        """The epoch of a row of ``metrics.csv``, in which an empty cell or NaN stands for a number that does not exist.

        Raises:
            TypeError, ValueError: a cell holds no number.
        """
        numbers = {name: float("nan" if row[name] == "" else row[name]) for name in COLUMNS if name in row}
        known = {name: number if math.isfinite(number) else None for name, number in numbers.items()}
        return cls(**{**known, "epoch": int(numbers["epoch"]), "step": int(numbers["step"])})  # type: ignore[arg-type]


@dataclass(frozen=True)
class LearningCurves(Record):
    """Metrics of all epochs of a run.

    Attributes:
        epochs: one record for each epoch, in order
    """

    epochs: tuple[Epoch, ...]

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]]) -> LearningCurves:
        """The curves of rows of ``metrics.csv``, see :meth:`Epoch.of_row`."""
        return cls(tuple(map(Epoch.of_row, rows)))

    @classmethod
    def read(cls, path: Path) -> LearningCurves:
        """Read ``metrics.csv``.

        Raises:
            TrainingError: the file does not exist, holds no epoch, or is of something else.
        """
        if not path.is_file():
            raise TrainingError(f"there is no {path}: a training run writes one line into it for every epoch")
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if not rows:
            raise TrainingError(f"{path} holds no epoch: let the run end one")
        missing = [name for name in COLUMNS if name not in rows[0] and name != "seconds"]
        if missing:
            raise TrainingError(f"{path} has no column {missing[0]}: it is not of a training run")
        try:
            return cls.of_rows(rows)
        except (TypeError, ValueError) as error:
            raise TrainingError(f"{path}: {error}; was it altered, or cut short?") from error

    def values(self, name: str) -> Floats:
        """A field of all epochs, ``[E]``, NaN where an epoch has no number."""
        return np.array([getattr(epoch, name) for epoch in self.epochs], dtype=float)

    def best(self, monitor: str) -> int | None:
        """Place of the epoch with the smallest value of a field; ``None`` where no epoch has a number."""
        values = self.values(monitor)
        return None if np.isnan(values).all() else int(np.nanargmin(values))


def _error_column(quantity: Quantity) -> Column:
    def value(run: TrainingRun) -> float | None:
        return None if run.mae is None else quantity.error(run.mae)

    return Column(f"{quantity.name} MAE", quantity.error_unit, value=value, optional=True)


@dataclass(frozen=True)
class TrainingRun(Record):
    """A training run that has ended.

    Attributes:
        folder: folder with all files of the run
        curves: metrics of every epoch
        monitor: field of an epoch by which the best model was chosen
        part: frames on which the best model was evaluated: ``"test"``, or ``"validation"`` where there are no test
            frames; ``None`` where it was not evaluated
        mae: mean absolute errors of the best model on these frames
        rmse: root mean square errors of the best model on these frames
    """

    derived: ClassVar[tuple[str, ...]] = ("best", "epochs", "seconds", "best_epoch")
    units: ClassVar[dict[str, str]] = {"seconds": "s"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("epochs", value=lambda run: run.epochs),
        Column("best epoch", value=lambda run: run.best_epoch, optional=True),
        Column("time", "h", 2, lambda run: run.seconds / 3600),
        Column("frames", value=lambda run: run.part, optional=True),
        *map(_error_column, QUANTITIES),
    )

    folder: Path
    curves: LearningCurves
    monitor: str
    part: str | None = None
    mae: Scores | None = None
    rmse: Scores | None = None

    @property
    def best(self) -> Path:
        """Checkpoint of the best model."""
        return self.folder / BEST

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return len(self.curves.epochs)

    @property
    def best_epoch(self) -> int | None:
        """Number of the epoch of the best model; ``None`` without validation frames."""
        place = self.curves.best(self.monitor)
        return None if place is None else self.curves.epochs[place].epoch

    @property
    def seconds(self) -> float:
        """Duration of all epochs, those before a resume included, s."""
        return float(np.nansum(self.curves.values("seconds")))

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """Known and predicted values of the frames of ``part``, read from the folder; ``None`` without an evaluation.

        Raises:
            FileNotFoundError: the files of the evaluation are gone.
            DatasetError: the files are damaged.
        """
        return None if self.part is None else Evaluation.load(self.folder / EVALUATION)
