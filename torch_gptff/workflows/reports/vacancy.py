"""A report on vacancies."""

from __future__ import annotations

from collections.abc import Sequence

from torch_gptff.graph.formula import formula_of
from torch_gptff.report import Report
from torch_gptff.report.plots import bars
from torch_gptff.workflows.vacancy import Vacancy, VacancyFormation

IN_DETAIL = 20
"""Number of structures with a figure of their own."""


def vacancy_report(crystals: Sequence[tuple[str, VacancyFormation]], about: str = "") -> Report:
    """A page of formation energies of vacancies.

    Args:
        crystals: labels and results
        about: how they were computed, below the title
    """
    report = Report("Vacancies", about)
    if not crystals:
        return report.note("There is no result.")
    rows = [(label, vacancy) for label, crystal in crystals for vacancy in crystal.vacancies]
    caption = "Formation energies of neutral vacancies, from the energies μ of the removed atoms."
    report.records(rows, Vacancy.columns, caption)
    for label, vacancy in rows:
        if not vacancy.converged:
            report.note(f"{label}, {vacancy.element} {vacancy.site}: the relaxation did not converge.")
    for label, crystal in crystals[:IN_DETAIL]:
        report.heading(label)
        energies: dict[str, float | None] = {f"{each.element} {each.site}": each.energy for each in crystal.vacancies}
        report.figure(bars(energies, "formation energy", "eV"), "Formation energy at each distinct site.")
        report.facts(
            {
                "formula of the cell": formula_of(crystal.atoms),
                "supercell": " × ".join(map(str, crystal.supercell)),
                "energy of the crystal (eV/atom)": crystal.energy,
            }
        )
    return report
