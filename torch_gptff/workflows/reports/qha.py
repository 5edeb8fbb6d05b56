"""A report on thermal expansion."""

from __future__ import annotations

from torch_gptff.workflows.drawing.qha import (
    draw_bulk_modulus,
    draw_expansion,
    draw_free_energies,
    draw_gibbs_energy,
    draw_heat_capacity,
    draw_modes,
    draw_volume,
)
from torch_gptff.workflows.reports.frame import Labelled, RecordsReport
from torch_gptff.workflows.thermal_expansion import QuasiHarmonicCrystal

FIGURES = (
    (draw_free_energies, "Free energy by volume at several temperatures; squares are the minima of the fits."),
    (draw_volume, "Volume in equilibrium."),
    (draw_expansion, "Thermal expansion of the volume; that of a length of a cubic crystal is a third of it."),
    (draw_bulk_modulus, "Isothermal bulk modulus."),
    (draw_heat_capacity, "Heat capacity at constant pressure, per mole of atoms."),
    (draw_gibbs_energy, "Gibbs energy at zero pressure."),
    (draw_modes, "Grüneisen parameters of the modes of a mesh, −∂ln ω/∂ln V."),
)


def qha_report(crystals: Labelled[QuasiHarmonicCrystal], about: str = "") -> RecordsReport[QuasiHarmonicCrystal]:
    """A report on thermal expansion.

    Args:
        crystals: labels and results
        about: how they were computed, shown below the title
    """
    report = RecordsReport("Thermal expansion", crystals, about)
    report.overview(
        "α: thermal expansion of the volume; B: isothermal bulk modulus; Cp: heat capacity per mole of atoms; γ: "
        "thermodynamic Grüneisen parameter; all at 300 K. Mean γ: of the modes, weighted by their heat capacities."
    )
    report.remarks(lambda crystal: crystal.remarks)
    return report.sections(_section)


def _section(report: RecordsReport[QuasiHarmonicCrystal], label: str, crystal: QuasiHarmonicCrystal) -> None:
    report.structure(crystal.atoms, "The crystal at its volume of least energy.")
    report.drawings(crystal, FIGURES)
    report.facts(
        {
            "supercell": " × ".join(map(str, crystal.supercell)),
            "volumes (Å³)": [round(float(volume), 3) for volume in crystal.volumes],
            "lowest frequencies (THz)": [round(float(value), 3) for value in crystal.lowest_frequencies],
            "linear expansion at 300 K (1/K)": _linear(crystal),
        }
    )


def _linear(crystal: QuasiHarmonicCrystal) -> float | None:
    return crystal.linear_expansion_300K if crystal.temperatures[-1] >= 300 else None
