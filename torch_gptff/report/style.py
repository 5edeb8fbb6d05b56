"""Style of all plots. Figures are made without pyplot, which keeps them all in one global place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

R = TypeVar("R")

SERIES = ("#2f7ebc", "#d9622b", "#3a9d5d", "#9b6bc9", "#c7941d", "#d1568f", "#1fa3a3", "#7a828c")
"""Colours of the first line, the second, …: to be told apart on white and on black."""

STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "figure.constrained_layout.use": True,
}


def new_figure(width: float = 5.0, height: float = 3.4) -> tuple[Figure, Axes]:
    """An empty figure of this size in inches with one pair of axes, in the style of all reports."""
    figure, (axes,) = new_panels(width, height, [1.0])
    return figure, axes


def new_panels(width: float, height: float, ratios: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """An empty figure of this size in inches with axes side by side over one vertical axis, in the style of all
    reports.

    Args:
        width: of the figure
        height: of the figure
        ratios: widths of the axes, relative to each other
    """
    import matplotlib
    from cycler import cycler
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**STYLE, "axes.prop_cycle": cycler(color=SERIES)}):
        figure = Figure(figsize=(width, height))
        if len(ratios) > 1:  # words at the end of one axis are no words at the beginning of the next
            figure.set_layout_engine("constrained", wspace=0.06)
        panels = figure.subplots(1, len(ratios), sharey=True, squeeze=False, width_ratios=list(ratios))
        return figure, list(panels[0])


def drawn(draw: Callable[[Axes, R], Any], record: R, axes: Axes | None) -> Axes:
    """Draw a record on the axes given, or on those of a new figure of pyplot, which a notebook shows.

    Args:
        draw: puts the record on axes
        record: what is drawn
        axes: of matplotlib; ``None`` for new ones

    Returns:
        the axes
    """
    if axes is None:
        from matplotlib import pyplot

        axes = pyplot.figure(layout="constrained").add_subplot()
    draw(axes, record)
    return axes


@lru_cache(maxsize=1)
def color_map() -> Colormap:
    """Viridis without its darkest end, which a dark page would swallow."""
    import matplotlib
    import numpy as np
    from matplotlib.colors import ListedColormap

    return ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0.25, 0.97, 256)), name="gptff")


def with_unit(label: str, unit: str) -> str:
    """``"energy (eV)"``."""
    return f"{label} ({unit})" if unit else label


def legend_above(axes: Axes) -> None:
    """A legend in one line above the axes, where no curve is."""
    _, labels = axes.get_legend_handles_labels()
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=max(len(labels), 1), borderaxespad=0.2)


def text_in_corner(axes: Axes, text: str, corner: str = "upper left") -> None:
    """Write lines into a corner of the axes."""
    vertical, horizontal = corner.split()
    x, y = {"left": 0.04, "right": 0.96}[horizontal], {"upper": 0.96, "lower": 0.04}[vertical]
    axes.text(
        x, y, text, transform=axes.transAxes, ha=horizontal, va="top" if vertical == "upper" else "bottom", fontsize=9
    )
