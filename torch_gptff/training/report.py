"""The report of a training run: learning curves, errors on frames held out, configuration and environment."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from torch_gptff import __version__
from torch_gptff.evaluation.record import Evaluation
from torch_gptff.evaluation.report import add_evaluation, add_headline
from torch_gptff.moved import old_names
from torch_gptff.report import Report, plots
from torch_gptff.report.tables import number_of
from torch_gptff.training.config import TrainingConfig
from torch_gptff.training.files import CONFIG, METRICS, REPORT
from torch_gptff.training.record import VALIDATED, LearningCurves

HELD_OUT = {
    "test": "Errors on the test frames, which the run has not seen.",
    "validation": "Errors on the validation frames, which the run was not trained on, and by which its best epoch was "
    "chosen.",
}

PACKAGES = ("torch", "torch_geometric", "lightning", "numpy", "ase", "pymatgen")


def write_training_report(folder: str | Path, evaluation: Evaluation | None = None, part: str = "test") -> Path:
    """Write ``report.html`` of a run from ``metrics.csv`` and ``config.yaml`` in its folder; return its path.

    Args:
        folder: folder of the run
        evaluation: evaluation of its best model on frames held out
        part: part that these frames belong to, ``"test"`` or ``"validation"``

    Raises:
        TrainingError: the folder holds no metrics, or damaged ones.
        ConfigError: the configuration cannot be read.
        FileNotFoundError: there is none.
    """
    folder = Path(folder)
    curves = LearningCurves.read(folder / METRICS)
    config = TrainingConfig.from_yaml(folder / CONFIG)
    monitor = "val_loss" if config.monitor == "loss" else f"val_{config.monitor}_mae"
    best = curves.best(monitor)
    report = Report(
        f"Training run {folder.resolve().name}",
        f"{len(curves.epochs):,} epochs of {_model(config)}"
        + ("." if best is None else f"; the best by {monitor} is epoch {curves.epochs[best].epoch}."),
    )
    if evaluation is not None:
        report.text(HELD_OUT.get(part, f"Errors on the frames of the part {part}."))
        add_headline(report, evaluation)
    report.heading("Learning curves")
    _add_curves(report, curves, best)
    if evaluation is not None:
        add_evaluation(report, evaluation)
    report.heading("Run").facts(_facts(curves, best))
    report.code((folder / CONFIG).read_text(encoding="utf-8"), "Configuration (config.yaml)")
    report.heading("Environment").facts(_environment())
    report.save(folder / REPORT)
    return folder / REPORT


def _model(config: TrainingConfig) -> str:
    start = config.model.checkpoint
    return config.model.name if start is None else f"a model that began as {Path(start).name}"


def _add_curves(report: Report, curves: LearningCurves, best: int | None) -> None:
    epochs = curves.values("epoch")
    marked = None if best is None else float(epochs[best])
    losses = {"training": curves.values("train_loss"), "validation": curves.values("val_loss")}
    known = {name: values for name, values in losses.items() if not np.isnan(values).all()}
    report.figure(plots.learning_curves(epochs, known, "loss", best=marked), "Loss.", "loss by epoch")
    for field, quantity in VALIDATED.items():
        name, values = _short_name(field), curves.values(field) * quantity.error_factor
        if not np.isnan(values).all():
            figure = plots.learning_curves(epochs, {name: values}, f"{name} MAE", quantity.error_unit, best=marked)
            report.figure(figure, f"Mean absolute error of {quantity.name}, validation.", f"{name} error by epoch")
    figure = plots.learning_curves(epochs, {"learning rate": curves.values("lr")}, "learning rate")
    report.figure(figure, "Learning rate.", "learning rate by epoch")


def _facts(curves: LearningCurves, best: int | None) -> dict[str, object]:
    facts: dict[str, object] = {"epochs": len(curves.epochs), "steps": curves.epochs[-1].step}
    if best is not None:
        facts["best epoch"] = curves.epochs[best].epoch
        for field, quantity in VALIDATED.items():
            error = curves.values(field)[best] * quantity.error_factor
            facts[f"validation MAE of {_short_name(field)} then, {quantity.error_unit}"] = float(error)
    seconds = curves.values("seconds")
    if not np.isnan(seconds).all():
        facts["hours"] = float(np.nansum(seconds)) / 3600
        facts["seconds per epoch, median"] = float(np.nanmedian(seconds))
    return facts


def _short_name(field: str) -> str:
    return field.removeprefix("val_").removesuffix("_mae")


def _environment() -> dict[str, object]:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "torch_gptff": __version__,
        "Python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "GPU": device,
        "CPU": f"{platform.machine()}, {number_of(os.cpu_count() or 1, 'cores')}, "
        f"{number_of(torch.get_num_threads(), 'threads')}",
        "system": f"{platform.system()} {platform.release()}",
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


__getattr__ = old_names(__name__)
