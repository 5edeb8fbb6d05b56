"""A report on vacancies."""

from __future__ import annotations

from torch_gptff.graph.formula import formula_of
from torch_gptff.report.style import new_figure
from torch_gptff.workflows.drawing.vacancy import draw_energies
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
    report.structure(crystal.atoms, "The crystal, whose atoms are counted from 1 in the picture and from 0 as sites.")
    figure, axes = new_figure(4.6, max(1.2, 0.6 + 0.3 * len(crystal.vacancies)))
    draw_energies(axes, crystal)
    report.figure(figure, "Formation energy at each distinct site.")
    report.facts(
        {
            "formula of the cell": formula_of(crystal.atoms),
            "supercell": " × ".join(map(str, crystal.supercell)),
            "energy of the crystal (eV/atom)": crystal.energy,
        }
    )
