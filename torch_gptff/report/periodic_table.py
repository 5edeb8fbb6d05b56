"""The periodic table, coloured by a number for each element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from torch_gptff.report.style import color_map, new_figure, with_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOBLE = (0, 2, 10, 18, 36, 54, 86, 118)
"""Atomic numbers of the last elements of the periods."""

F_BLOCKS = {57: 6, 89: 7}
"""The first of the fifteen elements that stand below the table, and the period that they belong to."""

SPREAD = 30.0
"""Values that differ by more than this factor are coloured by their logarithm."""


def place(number: int) -> tuple[float, int]:
    """Row, from 1 above, and column, from 1 to 18, of an element; lanthanides and actinides stand below the others."""
    for first, period in F_BLOCKS.items():
        if first <= number < first + 15:
            return period + 2.3, number - first + 3
    period = next(p for p, last in enumerate(NOBLE) if number <= last)
    behind = number - NOBLE[period - 1]
    length = NOBLE[period] - NOBLE[period - 1]
    return period, behind if behind <= 2 and number != 2 else behind + 18 - length


def periodic_table(values: Mapping[int, float | None], label: str, unit: str = "") -> Figure:
    """Every element in its place, those with a value coloured by it and with three digits of it in small type.

    Args:
        values: by atomic number
        label: of the values
        unit: of the values
    """
    from ase.data import chemical_symbols
    from matplotlib.cm import ScalarMappable
    from matplotlib.patches import Rectangle

    known = {number: float(value) for number, value in values.items() if value is not None and np.isfinite(value)}
    figure, axes = new_figure(10.0, 5.0)
    axes.set_axis_off()
    axes.set(xlim=(0.5, 18.5), ylim=(9.9, 0.4), aspect="equal")
    colors: Any = ScalarMappable(_norm(list(known.values())), color_map())
    for number in range(1, NOBLE[-1] + 1):
        row, column = place(number)
        value = known.get(number)
        color = None if value is None else colors.to_rgba(value)
        dark = color is not None and np.dot(color[:3], (0.299, 0.587, 0.114)) < 0.5
        axes.add_patch(
            Rectangle(
                (column - 0.47, row - 0.47),
                0.94,
                0.94,
                facecolor="none" if color is None else color,
                edgecolor="#b0b0b0" if color is None else "none",
                linewidth=0.5,
            )
        )
        # Not quite black and white: these stand on a coloured ground, whatever the colours of the page.
        ink: Any = {"color": "#8a949e" if color is None else "#fdfdfd" if dark else "#0a0a0a", "ha": "center"}
        axes.text(
            column, row - (0.08 if value is not None else 0), chemical_symbols[number], va="center", fontsize=9, **ink
        )
        if value is not None:
            axes.text(column, row + 0.28, _short(value), va="center", fontsize=5.5, **ink)
    if known:
        bar: Any = figure.colorbar(
            colors, cax=axes.inset_axes((0.2, 0.83, 0.36, 0.03)), orientation="horizontal", label=with_unit(label, unit)
        )
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=8)
    return figure


def _norm(values: list[float]) -> Any:
    from matplotlib.colors import LogNorm, Normalize

    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low > 0 and high / low > SPREAD:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + (abs(low) or 1.0))


def _short(value: float) -> str:
    """Three digits without a power of ten, if that is not longer than a tile is wide."""
    return f"{float(f'{value:.3g}'):g}"
