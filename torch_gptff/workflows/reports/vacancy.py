"""A report on vacancies."""

from __future__ import annotations

from torch_gptff.graph.formula import formula_of
from torch_gptff.report.plots import bars
from torch_gptff.workflows.reports.frame import Labelled, RecordsReport
from torch_gptff.workflows.vacancy import VacancyFormation


def vacancy_report(crystals: Labelled[VacancyFormation], about: str = "") -> RecordsReport[VacancyFormation]:
    """A report on formation energies of vacancies.

    Args:
        crystals: labels and results
        about: how they were computed, shown below the title
    """
    report = RecordsReport("Vacancies", crystals, about)
    report.overview(
        "Formation energies of neutral vacancies, from the energies μ of the removed atoms.",
        rows=lambda crystal: crystal.vacancies,
    )
    report.remarks(_unconverged)
    return report.sections(_section)


def _unconverged(crystal: VacancyFormation) -> list[str]:
    return [
        f"the relaxation around vacancy {each.element} {each.site} did not converge"
        for each in crystal.vacancies
        if not each.converged
    ]


def _section(report: RecordsReport[VacancyFormation], label: str, crystal: VacancyFormation) -> None:
    energies: dict[str, float | None] = {f"{each.element} {each.site}": each.energy for each in crystal.vacancies}
    report.figure(bars(energies, "formation energy", "eV"), "Formation energy at each distinct site.")
    report.facts(
        {
            "formula of the cell": formula_of(crystal.atoms),
            "supercell": " × ".join(map(str, crystal.supercell)),
            "energy of the crystal (eV/atom)": crystal.energy,
        }
    )
