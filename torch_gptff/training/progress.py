"""Progress of a run on a terminal: a bar, and a line for every epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from torch_gptff.training.callbacks import WriteMetrics
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

HEADING = "epoch      loss   val loss   meV/atom      meV/Å     GPa         lr   seconds"
"""Columns of the lines: losses, and mean absolute errors of the validation frames."""


class ShowProgress(Callback):
    """Callback that shows the progress of a run.

    Args:
        console: console to print on
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("batches", epoch="", loss=float("nan"))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            self._console.print(HEADING)
            self._progress.start()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        batches: Callable[[int], int] = trainer.train_dataloader.batches_in  # type: ignore[union-attr]
        of = f"{trainer.current_epoch + 1}/{trainer.max_epochs}"
        self._progress.reset(self._task, total=batches(trainer.current_epoch), epoch=of)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._progress.update(self._task, completed=batch_idx + 1, loss=float(outputs["loss"]))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        (metrics,) = (each for each in trainer.callbacks if isinstance(each, WriteMetrics))  # type: ignore[attr-defined]
        if trainer.is_global_zero and metrics.rows:
            self._console.print(line(metrics.rows[-1]))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._progress.stop()


def line(row: dict[str, float]) -> str:
    """The metrics of an epoch in the columns of :data:`HEADING`, a dash for missing ones."""
    cells = (
        (row["epoch"] + 1, 5, ".0f"),
        (row["train_loss"], 9, ".4f"),
        (row["val_loss"], 10, ".4f"),
        (row["val_energy_mae"] * 1e3, 10, ".2f"),
        (row["val_forces_mae"] * 1e3, 10, ".1f"),
        (row["val_stress_mae"] * GPA_PER_EV_PER_ANGSTROM3, 7, ".3f"),
        (row["lr"], 10, ".2e"),
        (row["seconds"], 9, ".1f"),
    )
    return " ".join(f"{'–':>{width}}" if value != value else f"{value:>{width}{form}}" for value, width, form in cells)
