"""A report on thermal conductivity."""

from __future__ import annotations

from torch_gptff.workflows.drawing.kappa import draw_conductivity, draw_cumulative, draw_lifetimes
from torch_gptff.workflows.reports.frame import Labelled, RecordsReport
from torch_gptff.workflows.thermal_transport import ThermalConductivity

FIGURES = (
    (draw_conductivity, "Lattice thermal conductivity along the axes."),
    (draw_lifetimes, "Lifetimes of the modes of the mesh."),
    (draw_cumulative, "Conductivity of all modes below a frequency."),
)


def kappa_report(crystals: Labelled[ThermalConductivity], about: str = "") -> RecordsReport[ThermalConductivity]:
    """A report on thermal conductivity.

    Args:
        crystals: labels and results
        about: how they were computed, shown below the title
    """
    report = RecordsReport("Thermal conductivity", crystals, about)
    report.overview("κ: a third of the trace of the tensor at 300 K, and its components.")
    return report.sections(_section)


def _section(report: RecordsReport[ThermalConductivity], label: str, crystal: ThermalConductivity) -> None:
    report.structure(crystal.atoms, "The crystal.")
    report.drawings(crystal, FIGURES)
    report.facts(
        {
            "supercell": " × ".join(map(str, crystal.supercell)),
            "displaced supercells": crystal.n_displaced,
            "displacement (Å)": f"{crystal.displacement:g}",
            "mesh": " × ".join(map(str, crystal.mesh)),
            "scattering by isotopes": crystal.isotopes,
            "largest force on the undisplaced crystal (eV/Å)": crystal.residual_force,
        }
    )
