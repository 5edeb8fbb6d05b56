"""The report of a training run: learning curves, errors on frames held out, configuration and environment."""

from __future__ import annotations

import csv
import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from torch_gptff import __version__
from torch_gptff.errors import TrainingError
from torch_gptff.evaluation.record import Evaluation
from torch_gptff.evaluation.report import QUANTITIES, add_evaluation, add_headline
from torch_gptff.evaluation.scores import Floats
from torch_gptff.report import Report, plots
from torch_gptff.training.config import TrainingConfig
from torch_gptff.training.files import COLUMNS, CONFIG, METRICS, REPORT

HELD_OUT = {
    "test": "Errors on the test frames, which the run has not seen.",
    "validation": "Errors on the validation frames, which the run was not trained on, and by which its best epoch was "
    "chosen.",
}

PACKAGES = ("torch", "torch_geometric", "lightning", "numpy", "ase", "pymatgen")


@dataclass(frozen=True)
class Metrics:
    """Metrics of the epochs of a run, as it wrote them.

    Attributes:
        columns: of the file, each ``[E]``, NaN where there is no number
    """

    columns: dict[str, Floats]

    @classmethod
    def read(cls, path: Path) -> Metrics:
        """Read them.

        Raises:
            TrainingError: there are none, or the file is of something else.
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
            columns = {
                name: np.array([float("nan" if row[name] == "" else row[name]) for row in rows]) for name in rows[0]
            }
        except (TypeError, ValueError) as error:
            raise TrainingError(f"{path}: {error}; was it altered, or cut short?") from error
        return cls(columns)

    def best(self, monitor: str) -> int | None:
        """The place of the epoch that is lowest in this column; ``None`` where there was no validation."""
        values = self.columns[monitor]
        return None if np.isnan(values).all() else int(np.nanargmin(values))


def write_training_report(folder: str | Path, evaluation: Evaluation | None = None, part: str = "test") -> Path:
    """Write ``report.html`` of a run from ``metrics.csv`` and ``config.yaml`` in its folder; return its path.

    Args:
        folder: of the run
        evaluation: of its best model, on frames held out
        part: which frames these are: ``"test"`` or ``"validation"``

    Raises:
        TrainingError: the folder holds no metrics, or damaged ones.
        ConfigError: the configuration cannot be read.
        FileNotFoundError: there is none.
    """
    folder = Path(folder)
    metrics = Metrics.read(folder / METRICS)
    config = TrainingConfig.from_yaml(folder / CONFIG)
    monitor = "val_loss" if config.monitor == "loss" else f"val_{config.monitor}_mae"
    best = metrics.best(monitor)
    epochs = metrics.columns["epoch"]
    report = Report(
        f"Training run {folder.resolve().name}",
        f"{len(epochs):,} epochs of {_model(config)}"
        + ("." if best is None else f"; the best by {monitor} is epoch {epochs[best]:.0f}."),
    )
    if evaluation is not None:
        report.text(HELD_OUT.get(part, f"Errors on the frames of the part {part}."))
        add_headline(report, evaluation)
    report.heading("Learning curves")
    _add_curves(report, metrics, best)
    if evaluation is not None:
        add_evaluation(report, evaluation)
    report.heading("Run").facts(_facts(metrics, best))
    report.code((folder / CONFIG).read_text(encoding="utf-8"), "Configuration (config.yaml)")
    report.heading("Environment").facts(_environment())
    report.save(folder / REPORT)
    return folder / REPORT


def _model(config: TrainingConfig) -> str:
    start = config.model.checkpoint
    return config.model.name if start is None else f"a model that began as {Path(start).name}"


def _add_curves(report: Report, metrics: Metrics, best: int | None) -> None:
    columns, epochs = metrics.columns, metrics.columns["epoch"]
    marked = None if best is None else float(epochs[best])
    losses = {"training": columns["train_loss"], "validation": columns["val_loss"]}
    known = {name: values for name, values in losses.items() if not np.isnan(values).all()}
    report.figure(plots.learning_curves(epochs, known, "loss", best=marked), "Loss.", "loss by epoch")
    for name, quantity in zip(("energy", "forces", "stress"), QUANTITIES, strict=True):
        values = columns[f"val_{name}_mae"] * quantity.error_factor
        if not np.isnan(values).all():
            figure = plots.learning_curves(epochs, {name: values}, f"{name} MAE", quantity.error_unit, best=marked)
            report.figure(figure, f"Mean absolute error of {quantity.name}, validation.", f"{name} error by epoch")
    figure = plots.learning_curves(epochs, {"learning rate": columns["lr"]}, "learning rate")
    report.figure(figure, "Learning rate.", "learning rate by epoch")


def _facts(metrics: Metrics, best: int | None) -> dict[str, object]:
    columns = metrics.columns
    facts: dict[str, object] = {"epochs": len(columns["epoch"]), "steps": int(columns["step"][-1])}
    if best is not None:
        facts["best epoch"] = int(columns["epoch"][best])
        for name, quantity in zip(("energy", "forces", "stress"), QUANTITIES, strict=True):
            facts[f"validation MAE of {name} then, {quantity.error_unit}"] = (
                float(columns[f"val_{name}_mae"][best]) * quantity.error_factor
            )
    if "seconds" in columns:
        facts["hours"] = float(np.nansum(columns["seconds"])) / 3600
        facts["seconds per epoch, median"] = float(np.nanmedian(columns["seconds"]))
    return facts


def _environment() -> dict[str, object]:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "torch_gptff": __version__,
        "Python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "GPU": device,
        "CPU": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "system": f"{platform.system()} {platform.release()}",
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
