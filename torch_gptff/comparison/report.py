"""A comparison of models as a table, a plot and a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch_gptff.comparison.record import ComparedModel, Comparison, columns_of
from torch_gptff.evaluation.report import QUANTITIES, Quantity
from torch_gptff.io.files import written_atomically
from torch_gptff.report import Report, Table, plots
from torch_gptff.report.tables import number_of
from torch_gptff.training.config import TrainingConfig

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "comparison"


def error_and_cost(comparison: Comparison) -> Figure:
    """The error of forces, or of energies where no force is known, beside the time of inference."""
    energy, forces, _ = QUANTITIES
    quantity = forces if any(forces.error(model.mae) is not None for model in comparison.models) else energy
    figure, axes = plots.new_figure(5.2, 3.6)
    for model, color in zip(comparison.models, _cycled(len(comparison.models)), strict=True):
        error = quantity.error(model.mae)
        if error is not None:
            place = 1e3 * model.seconds_per_inference, error
            axes.plot(*place, "o", markersize=8, color=color)
            axes.annotate(model.label, place, xytext=(8, 4), textcoords="offset points")
    axes.set_xlabel("time of one frame (ms)")
    axes.set_ylabel(f"{quantity.name} MAE, {comparison.part} ({quantity.error_unit})")
    _make_logarithmic(axes)
    return figure


def write_comparison(folder: Path, comparison: Comparison, config: TrainingConfig) -> None:
    """Write ``comparison.json``, ``.html``, ``.png`` and ``.svg`` into the folder."""
    comparison.save(folder / f"{NAME}.json")
    for suffix in (".png", ".svg"):
        with written_atomically(folder / f"{NAME}{suffix}") as temporary:
            error_and_cost(comparison).savefig(temporary, format=suffix[1:], dpi=200)
    report(comparison, config).save(folder / f"{NAME}.html")


def report(comparison: Comparison, config: TrainingConfig) -> Report:
    """The page: tables, bars of every error, and error beside cost."""
    counts, devices = comparison.counts, dict.fromkeys(model.device for model in comparison.models)
    frames, atoms = number_of(counts["frames"], f"{comparison.part} frames"), number_of(counts["atoms"], "atoms")
    page = Report(
        f"Comparison of {', '.join(model.label for model in comparison.models)}",
        f"Trained on the same frames with the same settings; errors on {frames} of {atoms} together. "
        f"Measured on: {', '.join(devices)}.",
    )
    for kind, words in (("mae", "Mean absolute"), ("rmse", "Root mean square")):
        table = Table.of([(model.label, model) for model in comparison.models], columns_of(kind), "model")
        page.table(table.columns, table.rows, f"{words} errors, and what they cost.")
    page.figure(error_and_cost(comparison), "Error beside time of inference: the nearer to the lower left, the better.")
    for quantity in QUANTITIES:
        figure = _bars(comparison.models, quantity)
        if figure is not None:
            page.figure(figure, f"Mean absolute error of {quantity.name}.")
    page.text(
        "An epoch is training and validation, the median over all of them. Inference is the energy, forces and stress "
        "of one frame with its graph, the median over the first training frames, as many as a batch may hold. Memory "
        "is the most that two steps of training on these frames together need beyond model and batch, in a fresh "
        "process."
    )
    page.code(config.to_yaml(), "Settings, in which the models differ by model alone")
    return page


def _bars(models: tuple[ComparedModel, ...], quantity: Quantity) -> Figure | None:
    errors = {model.label: quantity.error(model.mae) for model in models}
    if all(error is None for error in errors.values()):
        return None
    return plots.bars(errors, f"{quantity.name} MAE", quantity.error_unit)


def _cycled(number: int) -> list[str]:
    return [plots.SERIES[k % len(plots.SERIES)] for k in range(number)]


def _make_logarithmic(axes: Axes) -> None:
    """Both axes, with plain numbers, and room about the points for their labels."""
    from matplotlib.ticker import LogFormatter

    axes.set_xscale("log")
    axes.set_yscale("log")
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    axes.set_xlim(left / 1.3, right * 1.8)
    axes.set_ylim(low / 1.3, high * 1.3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(LogFormatter())
        axis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
