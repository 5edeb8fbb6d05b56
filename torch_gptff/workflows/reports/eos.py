"""A report on equations of state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch_gptff.moved import old_names
from torch_gptff.report import Column
from torch_gptff.report.style import new_figure
from torch_gptff.workflows.drawing.eos import draw_curve, form_name
from torch_gptff.workflows.eos.curve import EquationOfState
from torch_gptff.workflows.eos.fit import EquationOfStateFit
from torch_gptff.workflows.reports.frame import Labelled, RecordsReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__getattr__ = old_names(__name__)

MEV = 1000.0

_FIT_COLUMNS = (
    Column("V₀", "Å³/atom", 3),
    Column("E₀", "eV/atom", 4),
    Column("B₀", "GPa", 1),
    Column("B₀′", "", 2),
    Column("residual", "meV/atom", 3),
)


def eos_report(curves: Labelled[EquationOfState], about: str = "") -> RecordsReport[EquationOfState]:
    """A report on equations of state.

    Args:
        curves: labels and results
        about: how they were computed, shown below the title
    """
    report = RecordsReport("Equations of state", curves, about)
    form = next((curve.fit.form for _, curve in report.labelled if curve.fits), None)
    report.overview(
        "No curve has a minimum in range." if form is None else f"Fits of the equation of {form_name(form)}."
    )
    report.remarks(lambda curve: curve.remarks if curve.fits else (str(curve.problem), *curve.remarks))
    return report.sections(_section)


def _section(report: RecordsReport[EquationOfState], label: str, curve: EquationOfState) -> None:
    report.structure(curve.atoms, "The structure given.")
    report.figure(_figure(curve), "Energies relative to the lowest, and the equations that fit them.")
    if curve.fits:
        rows = [[form_name(fit.form), *_numbers(fit, len(curve.atoms))] for fit in curve.fits]
        report.table(("form", *_FIT_COLUMNS), rows)
    facts: dict[str, object] = {
        "atoms in the cell": len(curve.atoms),
        "volume of the structure given (Å³/atom)": curve.atoms.get_volume() / len(curve.atoms),
        "atoms relaxed at every volume": curve.relaxed,
    }
    if curve.relaxed:
        facts["volumes at which they did not converge"] = curve.n_unconverged
    if curve.energy_std is not None:
        facts["expected error of the energy at the minimum (meV/atom)"] = 1000 * curve.energy_std / len(curve.atoms)
    report.facts(facts)
    if curve.fits and curve.problem:
        report.note(f"Not every form fits. {curve.problem}.")


def _figure(curve: EquationOfState) -> Figure:
    figure, axes = new_figure(5.2, 3.4)
    draw_curve(axes, curve)
    return figure


def _numbers(fit: EquationOfStateFit, n_atoms: int) -> list[float]:
    return [
        fit.volume / n_atoms,
        fit.energy / n_atoms,
        fit.bulk_modulus,
        fit.bulk_modulus_derivative,
        fit.residual / n_atoms * MEV,
    ]
