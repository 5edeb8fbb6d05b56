"""The plots of the field in one style. Each function gives a matplotlib ``Figure`` that can still be drawn upon.

Values that are NaN are left out. Lengths are inches, and labels are plain text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from torch_gptff.report.periodic_table import periodic_table
from torch_gptff.report.style import SERIES, color_map, new_figure, text_in_corner, with_unit
from torch_gptff.report.tables import number_of, written

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "SERIES",
    "bars",
    "color_map",
    "heat_map",
    "histogram",
    "learning_curves",
    "lines",
    "new_figure",
    "parity",
    "periodic_table",
]

DENSE = 2000
"""More points than this are drawn as densities ..."""

MANY = 300
"""... and more than this in dots rather than one by one."""

MANY_TIMES = 100
"""A histogram whose highest bar is above this has a logarithmic axis."""

ROUNDING = 1e-9
"""Values that differ by less than this part of themselves are one value."""

CENTRAL = (0.005, 0.995)
"""The quantiles that a histogram shows where the tails are long."""


def parity(known: ArrayLike, predicted: ArrayLike, label: str, unit: str) -> Figure:
    """Predicted against known values about the diagonal, with their mean absolute and root mean square difference.

    Args:
        known: any shape
        predicted: of the same shape
        label: of both axes
        unit: of both axes
    """
    x, y = np.ravel(known).astype(float), np.ravel(predicted).astype(float)
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    figure, axes = new_figure(3.3, 3.2)
    low, high = _range(np.concatenate([x, y]))
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.plot([low, high], [low, high], color="black", linewidth=0.8, zorder=3, alpha=0.6)
    if len(x) > DENSE:
        extent = (low, high, low, high)
        axes.hexbin(
            x, y, gridsize=70, bins="log", mincnt=1, extent=extent, cmap=color_map(), linewidths=0.1, rasterized=True
        )
    else:
        axes.scatter(x, y, s=14, color=SERIES[0], alpha=0.55, linewidths=0, rasterized=len(x) > MANY)
    axes.set_xlabel(with_unit(f"{label}, known", unit))
    axes.set_ylabel(with_unit(f"{label}, predicted", unit))
    axes.locator_params(nbins=5)
    if len(x):
        error = y - x
        mae, rmse = written(float(np.abs(error).mean())), written(float((error**2).mean() ** 0.5))
        text_in_corner(axes, f"MAE {mae} {unit}\nRMSE {rmse} {unit}\n{number_of(len(x), 'values')}")
    return figure


def learning_curves(
    epochs: ArrayLike, curves: Mapping[str, ArrayLike], label: str, unit: str = "", best: float | None = None
) -> Figure:
    """Losses or errors by epoch on a logarithmic axis.

    Args:
        epochs: of every point, ``[E]``
        curves: by name, each ``[E]``
        label: of the values
        unit: of the values
        best: the epoch whose weights were kept, marked
    """
    figure = lines(epochs, curves, "epoch", label, y_unit=unit, log_y=True, width=4.8, height=3.1)
    if best is not None:
        axes = figure.axes[0]
        axes.axvline(best, color="black", linewidth=0.8, linestyle=":", label=f"best, epoch {best:g}")
        axes.legend(frameon=False)
    return figure


def lines(
    x: ArrayLike,
    curves: Mapping[str, ArrayLike],
    x_label: str,
    y_label: str,
    *,
    x_unit: str = "",
    y_unit: str = "",
    errors: Mapping[str, ArrayLike] | None = None,
    log_x: bool = False,
    log_y: bool = False,
    points: bool = False,
    width: float = 5.0,
    height: float = 3.4,
) -> Figure:
    """Curves over one axis, with a legend where there are several.

    Args:
        x: ``[K]``
        curves: by name, each ``[K]``
        x_label: of the horizontal axis
        y_label: of the vertical axis
        x_unit: of ``x``
        y_unit: of the curves
        errors: half the height of a band about a curve, by its name, each ``[K]``
        log_x: a logarithmic axis
        log_y: a logarithmic axis
        points: mark every value
        width: of the figure
        height: of the figure
    """
    figure, axes = new_figure(width, height)
    places = np.asarray(x, dtype=float)
    for name, values in curves.items():
        y = np.asarray(values, dtype=float)
        known = np.isfinite(y)
        mark = "o" if points or known.sum() == 1 else ""
        (line,) = axes.plot(places[known], y[known], label=name, marker=mark)
        if errors and name in errors:
            spread = np.asarray(errors[name], dtype=float)[known]
            axes.fill_between(
                places[known], y[known] - spread, y[known] + spread, color=line.get_color(), alpha=0.25, linewidth=0
            )
    axes.set_xlabel(with_unit(x_label, x_unit))
    axes.set_ylabel(with_unit(y_label, y_unit))
    if log_x:
        axes.set_xscale("log")
    if log_y and any(bool((np.asarray(values, dtype=float) > 0).any()) for values in curves.values()):
        axes.set_yscale("log")
    if len(curves) > 1:
        axes.legend(frameon=False)
    return figure


def bars(
    values: Mapping[str, float | None], label: str, unit: str = "", errors: Mapping[str, float] | None = None
) -> Figure:
    """One bar for each name, in the order given: upright below short names, such as elements, lying beside long ones.

    Args:
        values: by name; ``None`` or NaN for one that is not known
        label: of the values
        unit: of the values
        errors: half the length of an error bar, by name
    """
    names = list(values)
    sizes = np.array([np.nan if value is None else value for value in values.values()], dtype=float)
    spread = None if errors is None else np.array([errors.get(name, np.nan) for name in names], dtype=float)
    places = np.arange(len(names))
    upright = all(len(name) <= 3 for name in names)
    error_style = {"elinewidth": 0.8, "ecolor": "black"}
    if upright:
        figure, axes = new_figure(min(max(3.0, 0.8 + 0.27 * len(names)), 10.4), 2.9)
        axes.bar(places, sizes, 0.72, yerr=spread, color=SERIES[0], error_kw=error_style)
        axes.set_xticks(places, names, fontsize=9 if len(names) <= 40 else 7)
        axes.set_ylabel(with_unit(label, unit))
        axes.grid(False, axis="x")
        axes.set_xlim(-0.6, len(names) - 0.4)
    else:
        figure, axes = new_figure(5.6, max(1.2, 0.6 + 0.27 * len(names)))
        axes.barh(places, sizes, 0.72, xerr=spread, color=SERIES[0], error_kw=error_style)
        axes.set_yticks(places, [name if len(name) <= 32 else f"{name[:31]}…" for name in names])
        axes.set_xlabel(with_unit(label, unit))
        axes.grid(False, axis="y")
        axes.set_ylim(len(names) - 0.4, -0.6)
    return figure


def histogram(values: ArrayLike, label: str, unit: str = "", bins: int = 60) -> Figure:
    """A histogram of values. Long tails are cut off, and the share of values in them is written into the figure.

    Args:
        values: any shape
        label: name of the values
        unit: unit of the values
        bins: number of bins in the range that is shown
    """
    return bars_of_counts(*binned(values, bins), label, unit)


def binned(values: ArrayLike, bins: int = 60) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:
    """Count finite values in bins of equal width over the range that holds most of them.

    Args:
        values: any shape
        bins: number of bins

    Returns:
        numbers of values, ``[bins]``; edges of the bins, ``[bins + 1]``; and the share of values beyond them. Both
        arrays are empty where there is no finite value.
    """
    numbers = np.ravel(values).astype(float)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return np.zeros(0, dtype=np.int64), np.zeros(0), 0.0
    low, high = numbers.min(), numbers.max()
    inner_low, inner_high = np.quantile(numbers, CENTRAL)
    beyond = 0.0
    if high - low > 4 * (inner_high - inner_low) > 0:
        low, high = inner_low, inner_high
        beyond = float(((numbers < low) | (numbers > high)).mean())
    if high - low <= ROUNDING * max(abs(low), abs(high)):
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(numbers, bins=bins, range=(low, high))
    return counts.astype(np.int64), edges, beyond


def bars_of_counts(
    counts: NDArray[np.int64], edges: NDArray[np.float64], beyond: float, label: str, unit: str = ""
) -> Figure:
    """A histogram of values that are counted already, see :func:`binned`.

    Args:
        counts: numbers of values, ``[B]``
        edges: edges of the bins, ``[B + 1]``
        beyond: share of values beyond the bins
        label: name of the values
        unit: unit of the values
    """
    figure, axes = new_figure(3.3, 2.7)
    if len(counts):
        axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=SERIES[0])
        if beyond:
            text_in_corner(axes, f"{100 * beyond:.2g} % beyond", "upper right")
        if counts.max() > MANY_TIMES:
            axes.set_yscale("log")
    axes.set_xlabel(with_unit(label, unit))
    axes.set_ylabel("number")
    if axes.get_yscale() == "linear":
        axes.locator_params(axis="y", integer=True)
    axes.locator_params(axis="x", nbins=5)
    return figure


def heat_map(
    values: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    x_label: str,
    y_label: str,
    label: str,
    *,
    width: float = 5.4,
    height: float = 3.6,
    isotropic: bool = False,
) -> Figure:
    """Values on a grid as colours.

    Args:
        values: ``[K_y, K_x]``
        x: the places of the columns, ``[K_x]``
        y: the places of the rows, ``[K_y]``
        x_label: with its unit
        y_label: with its unit
        label: of the values, with its unit
        width: of the figure
        height: of the figure
        isotropic: whether a length is drawn equally long along x and along y
    """
    figure, axes = new_figure(width, height)
    axes.grid(False)
    if isotropic:
        axes.set_aspect("equal")
    columns, rows = _edges(np.asarray(x, dtype=float)), _edges(np.asarray(y, dtype=float))
    mesh = axes.pcolormesh(columns, rows, np.asarray(values, dtype=float), cmap=color_map(), rasterized=True)
    bar: Any = figure.colorbar(mesh, ax=axes, label=label)
    bar.outline.set_visible(False)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return figure


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def _edges(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """The borders of cells about their centres, one more than these."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])
