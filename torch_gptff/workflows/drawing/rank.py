"""Polymorphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch_gptff.report.interactive import name_points
from torch_gptff.report.labels import label_points
from torch_gptff.report.style import SERIES
from torch_gptff.workflows.drawing.words import group_symbol
from torch_gptff.workflows.rank import PolymorphRanking, RankedPolymorph

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_energies(axes: Axes, ranking: PolymorphRanking) -> int:
    """Energies above the lowest by volume; duplicates are hollow. Returns how many have no name for want of room."""
    distinct = list(ranking.distinct)
    others = [entry for entry in ranking.entries if entry.duplicate_of]
    for entries, face in ((others, "none"), (distinct, SERIES[0])):
        if entries:
            (points,) = axes.plot(*zip(*map(_place, entries), strict=True), "o", color=SERIES[0], markerfacecolor=face)
            name_points(points, map(_words, entries))
    axes.set_xlabel("volume (Å³/atom)")
    axes.set_ylabel("energy above the lowest (meV/atom)")
    axes.margins(0.12, 0.15)
    names = [group_symbol(entry.space_group).split()[0] if entry.space_group else entry.label for entry in distinct]
    return label_points(axes, [_place(entry) for entry in [*distinct, *others]], names)


def _place(entry: RankedPolymorph) -> tuple[float, float]:
    return entry.volume, 1000 * entry.energy_above_lowest


def _words(entry: RankedPolymorph) -> str:
    return f"{entry.label}\n{group_symbol(entry.space_group)}\n{1000 * entry.energy_above_lowest:.1f} meV/atom"
