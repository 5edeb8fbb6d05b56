"""A report on phonons."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from torch_gptff.moved import old_names
from torch_gptff.report.plots import SERIES, lines, new_figure
from torch_gptff.workflows.phonon_spectrum import NUMERICAL_ZERO, PhononSpectrum
from torch_gptff.workflows.reports.frame import Labelled, RecordsReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__getattr__ = old_names(__name__)


def phonons_report(spectra: Labelled[PhononSpectrum], about: str = "") -> RecordsReport[PhononSpectrum]:
    """A report on phonons.

    Args:
        spectra: labels and results
        about: how they were computed, shown below the title
    """
    report = RecordsReport("Phonons", spectra, about)
    report.overview("C: heat capacity at 300 K, per mole of formula units.")
    return report.sections(_section)


def _section(report: RecordsReport[PhononSpectrum], label: str, spectrum: PhononSpectrum) -> None:
    if not spectrum.is_stable:
        place = ", ".join(f"{value:.3g}" for value in spectrum.lowest_wave_vector)
        report.note(
            f"Imaginary modes: the lowest is {spectrum.lowest_frequency:.2f} THz at ({place}). The structure is no "
            f"minimum of the energy, or was not relaxed. {100 * spectrum.imaginary_fraction:.2g} % of the modes are "
            "left out of the thermal properties, which have no meaning then."
        )
    report.figure(_bands(spectrum), "Frequencies along the path; imaginary ones are negative.")
    report.figure(_density(spectrum), "Density of states.")
    if len(spectrum.temperatures) > 1:
        report.figure(_thermal(spectrum), "Heat capacity at constant volume, and entropy, per mole of atoms.")
    report.facts(
        {
            "supercell": " × ".join(map(str, spectrum.supercell)),
            "displaced supercells": spectrum.n_displaced,
            "displacement (Å)": spectrum.displacement,
            "mesh": " × ".join(map(str, spectrum.mesh)),
            "largest force on the undisplaced crystal (eV/Å)": spectrum.residual_force,
            "violation of the acoustic sum rule, removed (eV/Å²)": spectrum.sum_rule_violation,
        }
    )


def _bands(spectrum: PhononSpectrum) -> Figure:
    figure, axes = new_figure(5.4, 3.5)
    breaks = [float(tick) for tick, name in zip(spectrum.band_ticks, spectrum.band_points, strict=True) if "|" in name]
    x, y = spectrum.band_distances, spectrum.band_frequencies
    starts = [0, *(int(np.searchsorted(x, place, side="left")) + 1 for place in breaks), len(x)]
    for first, last in pairwise(starts):
        axes.plot(x[first:last], y[first:last], color=SERIES[0], linewidth=1.0)
    axes.axhline(0, color="black", linewidth=0.6)
    if spectrum.lowest_frequency < -NUMERICAL_ZERO:
        axes.axhspan(
            min(1.05 * spectrum.lowest_frequency, -NUMERICAL_ZERO), 0, color=SERIES[1], alpha=0.15, linewidth=0
        )
    axes.set_xticks(spectrum.band_ticks, spectrum.band_points)
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(*_range(spectrum))
    axes.set_ylabel("frequency (THz)")
    return figure


def _range(spectrum: PhononSpectrum) -> tuple[float, float]:
    highest = 1.05 * float(spectrum.band_frequencies.max())
    return min(1.1 * spectrum.lowest_frequency, -0.03 * highest), highest


def _density(spectrum: PhononSpectrum) -> Figure:
    figure, axes = new_figure(2.2, 3.5)
    axes.plot(spectrum.dos, spectrum.dos_frequencies, color=SERIES[0], linewidth=1.0)
    axes.fill_betweenx(spectrum.dos_frequencies, 0, spectrum.dos, color=SERIES[0], alpha=0.2, linewidth=0)
    axes.set_xlim(left=0)
    axes.set_ylim(*_range(spectrum))
    axes.set_xlabel("states (1/THz)")
    axes.set_ylabel("frequency (THz)")
    return figure


def _thermal(spectrum: PhononSpectrum) -> Figure:
    curves = {"heat capacity": spectrum.heat_capacity, "entropy": spectrum.entropy}
    figure = lines(spectrum.temperatures, curves, "temperature", "J/(mol K)", x_unit="K", width=4.2, height=3.2)
    axes = figure.axes[0]
    axes.axhline(24.943, color="black", linewidth=0.8, linestyle=":", label="3R")
    axes.legend(frameon=False)
    return figure
