"""A report on phonons."""

from __future__ import annotations

from torch_gptff.moved import old_names
from torch_gptff.report.style import new_figure, new_panels
from torch_gptff.workflows.drawing.phonons import draw_bands, draw_density, draw_thermal
from torch_gptff.workflows.phonon_spectrum import PhononSpectrum
from torch_gptff.workflows.reports.frame import Labelled, RecordsReport

__getattr__ = old_names(__name__)


def phonons_report(spectra: Labelled[PhononSpectrum], about: str = "") -> RecordsReport[PhononSpectrum]:
    """A report on phonons.

    Args:
        spectra: labels and results
        about: how they were computed, shown below the title
    """
    report = RecordsReport("Phonons", spectra, about)
    report.overview("C: heat capacity at 300 K, per mole of formula units.")
    report.remarks(lambda spectrum: spectrum.remarks)
    return report.sections(_section)


def _section(report: RecordsReport[PhononSpectrum], label: str, spectrum: PhononSpectrum) -> None:
    if not spectrum.is_stable:
        place = ", ".join(f"{value:.3g}" for value in spectrum.lowest_wave_vector)
        report.note(
            f"Imaginary modes: the lowest is {spectrum.lowest_frequency:.2f} THz at ({place}). The structure is no "
            f"minimum of the energy, or was not relaxed. {100 * spectrum.imaginary_fraction:.2g} % of the modes are "
            "left out of the thermal properties, which have no meaning then."
        )
    report.structure(spectrum.atoms, "The structure.")
    figure, (bands, density) = new_panels(7.4, 3.8, (3, 1))
    draw_bands(bands, spectrum)
    draw_density(density, spectrum)
    report.figure(figure, "Frequencies along the path, imaginary ones negative, and the density of states.")
    if len(spectrum.temperatures) > 1:
        figure, axes = new_figure(4.2, 3.2)
        draw_thermal(axes, spectrum)
        report.figure(figure, "Heat capacity at constant volume, and entropy, per mole of atoms.")
    report.facts(
        {
            "supercell": " × ".join(map(str, spectrum.supercell)),
            "displaced supercells": spectrum.n_displaced,
            "displacement (Å)": f"{spectrum.displacement:g}",
            "mesh": " × ".join(map(str, spectrum.mesh)),
            "largest force on the undisplaced crystal (eV/Å)": spectrum.residual_force,
            "violation of the acoustic sum rule, removed (eV/Å²)": spectrum.sum_rule_violation,
        }
    )
