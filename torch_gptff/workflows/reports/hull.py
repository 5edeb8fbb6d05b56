"""A report on a convex hull."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ase import Atoms

from torch_gptff.report.style import new_figure
from torch_gptff.workflows.drawing.hull import draw_binary, draw_ternary
from torch_gptff.workflows.hull import ConvexHull, HullEntry
from torch_gptff.workflows.reports.frame import MOST_SECTIONS, RecordsReport, names


def hull_report(
    hull: ConvexHull, about: str = "", structures: Mapping[str, Atoms] | None = None
) -> RecordsReport[HullEntry]:
    """A report on the phases of a system.

    Args:
        hull: the phases
        about: how energies were computed, shown below the title
        structures: crystals by the labels of phases, of which the stable ones are shown
    """
    labels = [each.label for each in hull.entries]
    short = dict(zip(labels, names([(each.label, each) for each in hull.entries]), strict=True))
    entries = [
        (each.label, replace(each, decomposition={short[name]: share for name, share in each.decomposition.items()}))
        for each in sorted(hull.entries, key=lambda entry: entry.energy_above_hull)
    ]
    report = RecordsReport("–".join(hull.elements), entries, about)
    report.numbers(
        {
            "phases": (len(hull.entries), ""),
            "stable": (len(hull.stable), ""),
            "stable compounds": (sum(len(entry.fractions) > 1 for entry in hull.stable), ""),
        }
    )
    if len(hull.elements) == 2:
        figure, axes = new_figure(6.2, 4.2)
        unnamed = draw_binary(axes, hull)
        report.figure(figure, f"Formation energy over composition, and the hull.{_unnamed(unnamed)}")
    elif len(hull.elements) == 3:
        figure, axes = new_figure(6.2, 5.0)
        unnamed = draw_ternary(axes, hull)
        said = "Phases: filled ones are stable; the colour is the energy above the hull."
        report.figure(figure, said + _unnamed(unnamed))
    caption = "Separation: energy of a stable compound below the hull of the phases of other compositions."
    report.overview(caption, heading="Phases")
    shown = [(label, structures[entry.label]) for label, entry in report.labelled if entry.is_stable and structures]
    if shown:
        report.heading("Stable phases")
    for label, atoms in shown[:MOST_SECTIONS]:
        report.structure(atoms, label)
    if len(shown) > MOST_SECTIONS:
        report.text(f"The first {MOST_SECTIONS} of {len(shown)} stable phases are shown.")
    return report


def _unnamed(number: int) -> str:
    return f" For want of room, {number} phases are not named." if number else ""
