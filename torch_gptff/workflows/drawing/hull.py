"""Convex hulls."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from torch_gptff.report.interactive import name_points
from torch_gptff.report.labels import label_points
from torch_gptff.report.style import SERIES, color_map
from torch_gptff.workflows.drawing.words import subscripted
from torch_gptff.workflows.hull import ConvexHull, HullEntry

if TYPE_CHECKING:
    from matplotlib.axes import Axes


FEW = 12
"""Largest number of phases above the hull that are named."""


def draw_hull(axes: Axes, hull: ConvexHull) -> int:
    """The hull of two or three elements. Returns as :func:`draw_binary`."""
    return draw_binary(axes, hull) if len(hull.elements) == 2 else draw_ternary(axes, hull)


def draw_binary(axes: Axes, hull: ConvexHull) -> int:
    """Formation energy over composition, and the hull. Returns how many phases that should be named are not, for
    want of room."""
    second = hull.elements[1]

    def place(entry: HullEntry) -> tuple[float, float]:
        return entry.fractions.get(second, 0.0), 1000 * entry.formation_energy

    stable = sorted(hull.stable, key=place)
    other = [entry for entry in hull.entries if not entry.is_stable]
    lines = list(pairwise(place(entry) for entry in stable))
    for one, next_one in lines:
        axes.plot(*zip(one, next_one, strict=True), color=SERIES[0], linewidth=1.2)
    for entries, color, face in ((other, SERIES[1], "none"), (stable, SERIES[0], SERIES[0])):
        if entries:
            x, y = np.transpose([place(entry) for entry in entries])
            (points,) = axes.plot(x, y, "o", color=color, markerfacecolor=face, markersize=6)
            name_points(points, map(_words, entries))
    axes.set_xlabel(f"share of {second}")
    axes.set_ylabel("formation energy (meV/atom)")
    axes.margins(0.08, 0.2)
    ordered = [*stable, *other]
    return label_points(axes, [place(entry) for entry in ordered], _named(stable, other), lines=lines)


def draw_ternary(axes: Axes, hull: ConvexHull) -> int:
    """Phases by composition: filled ones are stable, and the colour is the energy above the hull. Returns as
    :func:`draw_binary`."""
    corners = np.array([[0, 0], [1, 0], [0.5, np.sqrt(3) / 2]])
    axes.set_aspect("equal")
    axes.axis("off")
    axes.plot(*corners[[0, 1, 2, 0]].T, color="black", linewidth=0.8)
    stable = list(hull.stable)
    other = [entry for entry in hull.entries if not entry.is_stable]

    def places(entries: list[HullEntry]) -> np.ndarray:
        return np.array([[entry.fractions.get(name, 0.0) for name in hull.elements] for entry in entries]) @ corners

    if other:
        above = [1000 * entry.energy_above_hull for entry in other]
        x, y = places(other).T
        points = axes.scatter(x, y, c=above, cmap=color_map(), marker="s", s=26)
        name_points(points, map(_words, other))
        figure = axes.get_figure()
        assert figure is not None
        bar: Any = figure.colorbar(points, ax=axes, label="above the hull (meV/atom)", shrink=0.7)
        bar.outline.set_visible(False)
    x, y = places(stable).T
    filled = axes.scatter(x, y, color=SERIES[1], s=40, zorder=3)
    name_points(filled, map(_words, stable))
    axes.margins(0.12, 0.1)
    every = [(float(x), float(y)) for x, y in places([*stable, *other])]
    return label_points(axes, every, _named(stable, other))


def _named(stable: Sequence[HullEntry], other: Sequence[HullEntry]) -> list[str]:
    """Formulas of the stable phases, and of the others behind them where these are few."""
    return [subscripted(entry.formula) for entry in [*stable, *(other if len(other) <= FEW else [])]]


def _words(entry: HullEntry) -> str:
    energy = f"formation {1000 * entry.formation_energy:.1f} meV/atom"
    above = "stable" if entry.is_stable else f"{1000 * entry.energy_above_hull:.1f} meV/atom above the hull"
    return f"{subscripted(entry.formula)}\n{energy}\n{above}\n{entry.label}"
