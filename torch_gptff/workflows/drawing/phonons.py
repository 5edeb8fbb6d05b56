"""Phonons."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from torch_gptff.report.style import SERIES
from torch_gptff.workflows.phonon_spectrum import NUMERICAL_ZERO, PhononSpectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DULONG_PETIT = 24.943
"""3R, J/(mol K)."""


def draw_bands(axes: Axes, spectrum: PhononSpectrum) -> None:
    """Frequencies along the path; imaginary ones are negative."""
    x, y = spectrum.band_distances, spectrum.band_frequencies
    # one place twice: the path jumps there, or reaches Γ of a polar crystal from two sides
    starts = [0, *(int(k) + 1 for k in np.flatnonzero(np.diff(x) == 0)), len(x)]
    for first, last in pairwise(starts):
        axes.plot(x[first:last], y[first:last], color=SERIES[0], linewidth=1.0)
    axes.axhline(0, color="black", linewidth=0.6)
    if spectrum.lowest_frequency < -NUMERICAL_ZERO:
        axes.axhspan(
            min(1.05 * spectrum.lowest_frequency, -NUMERICAL_ZERO), 0, color=SERIES[1], alpha=0.15, linewidth=0
        )
    axes.set_xticks(spectrum.band_ticks, spectrum.band_points)
    axes.set_xlim(x[0], x[-1])
    highest = 1.05 * float(spectrum.band_frequencies.max())
    axes.set_ylim(min(1.1 * spectrum.lowest_frequency, -0.03 * highest), highest)
    axes.set_ylabel("frequency (THz)")


def draw_density(axes: Axes, spectrum: PhononSpectrum) -> None:
    """Density of states, with frequencies upwards."""
    axes.plot(spectrum.dos, spectrum.dos_frequencies, color=SERIES[0], linewidth=1.0)
    axes.fill_betweenx(spectrum.dos_frequencies, 0, spectrum.dos, color=SERIES[0], alpha=0.2, linewidth=0)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("states (1/THz)")


def draw_thermal(axes: Axes, spectrum: PhononSpectrum) -> None:
    """Heat capacity at constant volume and entropy, per mole of atoms."""
    axes.plot(spectrum.temperatures, spectrum.heat_capacity, color=SERIES[0], label="heat capacity")
    axes.plot(spectrum.temperatures, spectrum.entropy, color=SERIES[1], label="entropy")
    axes.axhline(DULONG_PETIT, color="black", linewidth=0.8, linestyle=":", label="3R")
    axes.set_xlabel("temperature (K)")
    axes.set_ylabel("J/(mol K)")
    axes.legend(frameon=False)
