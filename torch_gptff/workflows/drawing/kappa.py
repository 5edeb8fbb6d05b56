"""Thermal conductivity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from torch_gptff.report.style import SERIES
from torch_gptff.workflows.thermal_transport import ThermalConductivity

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_conductivity(axes: Axes, crystal: ThermalConductivity) -> None:
    """Conductivity along the axes by temperature."""
    for k, name in enumerate("xyz"):
        values = crystal.conductivity[:, k, k]
        # in a cubic crystal the three lie on one another
        axes.plot(crystal.temperatures, values, color=SERIES[k], linestyle=("-", "--", ":")[k], label=f"along {name}")
    axes.set_yscale("log")
    axes.set_xlabel("temperature (K)")
    axes.set_ylabel("thermal conductivity (W/(m K))")
    axes.legend(frameon=False)


def draw_lifetimes(axes: Axes, crystal: ThermalConductivity) -> None:
    """Lifetimes of modes by their frequencies."""
    axes.plot(crystal.mode_frequencies, crystal.mode_lifetimes, "o", color=SERIES[0], markersize=2, alpha=0.6)
    axes.set_yscale("log")
    axes.set_xlabel("frequency (THz)")
    axes.set_ylabel(f"lifetime at {crystal.mode_temperature:g} K (ps)")


def draw_cumulative(axes: Axes, crystal: ThermalConductivity) -> None:
    """Conductivity of all modes below a frequency."""
    order = np.argsort(crystal.mode_frequencies)
    axes.plot(crystal.mode_frequencies[order], np.cumsum(crystal.mode_conductivity[order]), color=SERIES[1])
    axes.set_xlabel("frequency (THz)")
    axes.set_ylabel("cumulative conductivity (W/(m K))")
