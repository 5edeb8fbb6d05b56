"""A report on polymorphs."""

from __future__ import annotations

from torch_gptff.report.style import new_figure
from torch_gptff.workflows.drawing.rank import draw_energies
from torch_gptff.workflows.drawing.words import group_symbol, subscripted
from torch_gptff.workflows.rank import PolymorphRanking, RankedPolymorph
from torch_gptff.workflows.reports.frame import RecordsReport


def rank_report(ranking: PolymorphRanking, about: str = "") -> RecordsReport[RankedPolymorph]:
    """A report on polymorphs.

    Args:
        ranking: the polymorphs
        about: how they were computed, shown below the title
    """
    title = f"Polymorphs of {subscripted(ranking.formula)}"
    report = RecordsReport(title, [(entry.label, entry) for entry in ranking.entries], about)
    report.numbers({"structures": (len(ranking.entries), ""), "distinct": (len(ranking.distinct), "")})
    figure, axes = new_figure(6.2, 4.2)
    unnamed = draw_energies(axes, ranking)
    left = f" For want of room, {unnamed} are not named." if unnamed else ""
    report.figure(figure, f"Energies by volume; duplicates are hollow.{left}")
    report.overview("Space groups before and after the relaxation. Same as: a polymorph of the same structure.")
    unfinished = [entry.label for entry in ranking.entries if not entry.converged]
    if unfinished:
        report.note(f"Not converged: {', '.join(unfinished)}. Allow more steps.")
    return report.sections(_section, of=lambda entry: not entry.duplicate_of)


def _section(report: RecordsReport[RankedPolymorph], label: str, entry: RankedPolymorph) -> None:
    report.structure(
        entry.atoms, f"{group_symbol(entry.space_group)}, {1000 * entry.energy_above_lowest:.1f} meV/atom."
    )
