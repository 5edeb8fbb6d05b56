"""Callbacks that write the files of a run: the state to resume from, the best model, and the metrics of every epoch."""

from __future__ import annotations

import csv
import math
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from torch_gptff.errors import TrainingError
from torch_gptff.io import save
from torch_gptff.io.files import system_errors, written_atomically
from torch_gptff.potential import Potential
from torch_gptff.training.files import BEST, COLUMNS, METRICS, STATE
from torch_gptff.training.lora import merged
from torch_gptff.training.module import EnergyModelModule
from torch_gptff.training.references import References

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Signals that stop a run."""

POSITION = "position"
"""Key of the state: the next epoch and batch."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writing of states whole or not at all."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with written_atomically(path) as temporary, system_errors(path):
            torch.save(checkpoint, temporary)


class Interrupted(BaseException):
    """Exception that ends a run because of a signal, after its state was saved.

    Attributes:
        signal: number of the signal
    """

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


class SaveState(Checkpoint):
    """Saves the state of a run periodically and at the end of each epoch.

    SIGINT and SIGTERM end the step or the validation that is under way, after which the state is saved and
    :class:`Interrupted` raised; a second one acts at once. Several processes, or a thread, are left as they are.

    Args:
        folder: folder of the run
        steps: number of steps between two states
    """

    def __init__(self, folder: Path, steps: int) -> None:
        self._path = folder / STATE
        self._steps = steps
        self._position = (0, 0)
        self._handlers: dict[int, Any] = {}
        self._received: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.world_size == 1 and threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._receive) for number in SIGNALS}

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._give_signals_back()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        self._give_signals_back()

    def _give_signals_back(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        stepped = not trainer.fit_loop._should_accumulate()
        is_last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        is_due = trainer.global_step % self._steps == 0 or self._received is not None
        if stepped and not is_last and is_due:
            self._save(trainer, (trainer.current_epoch, batch_idx + 1))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer, (trainer.current_epoch + 1, 0))

    def _save(self, trainer: Trainer, position: tuple[int, int]) -> None:
        self._position = position
        trainer.save_checkpoint(self._path)
        if self._received is not None:
            raise Interrupted(self._received)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[POSITION] = self._position


class SaveBest(Callback):
    """Saves the best model on the validation frames; without such frames, the latest.

    Args:
        folder: folder of the run
        monitor: metric by which models are compared
        provenance: origin of the weights, for the checkpoint
        references: element energies by which the labels were aligned
        sources: names of the sources in the order of the module's shifts
    """

    def __init__(
        self,
        folder: Path,
        monitor: str,
        provenance: Mapping[str, Any],
        references: References,
        sources: Sequence[str],
    ) -> None:
        self._path = folder / BEST
        self._monitor = monitor
        self._provenance = provenance
        self._references = references
        self._sources = sources
        self._least = math.inf

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, EnergyModelModule)
        value = float(trainer.callback_metrics.get(self._monitor, -trainer.current_epoch))
        if math.isnan(value):
            raise TrainingError(
                f"{self._monitor} is not a number in epoch {trainer.current_epoch}: choose another monitor if no "
                "validation frame has that label, and a lower learning rate otherwise"
            )
        if value < self._least:
            self._least = value
            if trainer.is_global_zero:
                self._save(trainer, pl_module)

    def _save(self, trainer: Trainer, module: EnergyModelModule) -> None:
        references = self._references.moved(self._sources, module.shifts.detach().double().cpu())
        trained = module.result
        potential = Potential(merged(trained.model), trained.element_energies)
        potential.seen_pairs, potential.provenance = trained.seen_pairs, trained.provenance
        potential.references = {name: dict(table) for name, table in references.tables.items()}
        if len(potential.references) > 1:
            potential.use_reference(references.first)
        reached = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        save(potential, self._path, {**self._provenance, "reached": reached})

    def state_dict(self) -> dict[str, Any]:
        tables = {name: dict(table) for name, table in self._references.tables.items()}
        return {"least": self._least, "references": tables}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._least = state_dict["least"]


class WriteMetrics(Callback):
    """Writes a line of ``metrics.csv`` for every epoch.

    Args:
        folder: folder of the run

    Attributes:
        rows: metrics of the epochs so far
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / METRICS
        self.rows: list[dict[str, float]] = []
        self._loss = 0.0
        self._batches = 0
        self._seconds = 0.0
        self._began = time.perf_counter()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._loss += float(outputs["loss"])
        self._batches += 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, EnergyModelModule)
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        row = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "lr": pl_module.rate,
            "train_loss": self._loss / max(self._batches, 1),
            "seconds": self._elapsed(),
            **{name: values.get(name, math.nan) for name in COLUMNS if name.startswith("val_")},
        }
        self.rows.append(row)
        self._loss, self._batches, self._seconds, self._began = 0.0, 0, 0.0, time.perf_counter()
        if trainer.is_global_zero:
            with written_atomically(self._path) as temporary, temporary.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(self.rows)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "loss": self._loss, "batches": self._batches, "seconds": self._elapsed()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])
        self._loss, self._batches = state_dict["loss"], state_dict["batches"]
        self._seconds = state_dict["seconds"]

    def _elapsed(self) -> float:
        return self._seconds + time.perf_counter() - self._began
