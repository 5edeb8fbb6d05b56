"""A report on a convex hull."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from torch_gptff.report.plots import SERIES, color_map, new_figure
from torch_gptff.workflows.hull import ConvexHull, HullEntry
from torch_gptff.workflows.reports.frame import RecordsReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def hull_report(hull: ConvexHull, about: str = "") -> RecordsReport[HullEntry]:
    """A report on the phases of a system.

    Args:
        hull: the phases
        about: how energies were computed, shown below the title
    """
    entries = sorted(hull.entries, key=lambda entry: entry.energy_above_hull)
    report = RecordsReport("–".join(hull.elements), [(entry.label, entry) for entry in entries], about)
    report.numbers(
        {
            "phases": (len(hull.entries), ""),
            "stable": (len(hull.stable), ""),
            "stable compounds": (sum(len(entry.fractions) > 1 for entry in hull.stable), ""),
        }
    )
    if len(hull.elements) == 2:
        report.figure(_binary(hull), "Formation energy over composition, and the hull.")
    elif len(hull.elements) == 3:
        report.figure(_ternary(hull), "Phases: filled ones are stable; the colour is the energy above the hull.")
    caption = "Separation: energy of a stable compound below the hull of the phases of other compositions."
    return report.overview(caption, heading="Phases")


def _binary(hull: ConvexHull) -> Figure:
    second = hull.elements[1]
    figure, axes = new_figure(5.4, 3.8)

    def place(entry: HullEntry) -> tuple[float, float]:
        return entry.fractions.get(second, 0.0), 1000 * entry.formation_energy

    for (x, y), (x2, y2) in pairwise(sorted(place(entry) for entry in hull.stable)):
        axes.plot([x, x2], [y, y2], color=SERIES[0], linewidth=1.2)
    for entry in hull.entries:
        x, y = place(entry)
        face = SERIES[0] if entry.is_stable else "none"
        axes.plot([x], [y], "o", color=SERIES[0] if entry.is_stable else SERIES[1], markerfacecolor=face, markersize=6)
        if entry.is_stable:
            axes.annotate(entry.formula, (x, y), xytext=(0, -13), textcoords="offset points", ha="center", fontsize=9)
    axes.set_xlabel(f"share of {second}")
    axes.set_ylabel("formation energy (meV/atom)")
    axes.margins(0.06, 0.16)
    return figure


def _ternary(hull: ConvexHull) -> Figure:
    corners = np.array([[0, 0], [1, 0], [0.5, np.sqrt(3) / 2]])
    figure, axes = new_figure(5.4, 4.4)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.plot(*corners[[0, 1, 2, 0]].T, color="black", linewidth=0.8)
    places = np.array([[entry.fractions.get(name, 0.0) for name in hull.elements] for entry in hull.entries]) @ corners
    above = 1000 * np.array([entry.energy_above_hull for entry in hull.entries])
    stable = np.array([entry.is_stable for entry in hull.entries])
    if (~stable).any():
        points = axes.scatter(
            places[~stable, 0], places[~stable, 1], c=above[~stable], cmap=color_map(), marker="s", s=26
        )
        bar = figure.colorbar(points, ax=axes, label="above the hull (meV/atom)", shrink=0.7)
        bar.outline.set_visible(False)
    x, y = places[stable].T
    axes.scatter(x, y, color=SERIES[1], s=40, zorder=3)
    for entry, (x, y) in zip(hull.entries, places, strict=True):
        if entry.is_stable:
            axes.annotate(entry.formula, (x, y), xytext=(0, -14), textcoords="offset points", ha="center", fontsize=9)
    return figure
