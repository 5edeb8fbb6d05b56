"""Thermal expansion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from torch_gptff.report.style import SERIES, color_map
from torch_gptff.workflows.thermal_expansion import QuasiHarmonicCrystal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

MOST_CURVES = 6
"""Largest number of temperatures whose free energies are drawn."""


def draw_volume(axes: Axes, crystal: QuasiHarmonicCrystal) -> None:
    """Volume per atom in equilibrium."""
    _by_temperature(axes, crystal, crystal.volume / len(crystal.atoms), SERIES[0], "volume (Å³/atom)")


def draw_expansion(axes: Axes, crystal: QuasiHarmonicCrystal) -> None:
    """Thermal expansion of the volume."""
    _by_temperature(axes, crystal, 1e6 * crystal.thermal_expansion, SERIES[1], "thermal expansion (10⁻⁶/K)")


def draw_bulk_modulus(axes: Axes, crystal: QuasiHarmonicCrystal) -> None:
    """Isothermal bulk modulus."""
    _by_temperature(axes, crystal, crystal.bulk_modulus, SERIES[2], "bulk modulus (GPa)")


def draw_heat_capacity(axes: Axes, crystal: QuasiHarmonicCrystal) -> None:
    """Heat capacity at constant pressure per mole of atoms."""
    _by_temperature(axes, crystal, crystal.heat_capacity, SERIES[3], "Cp (J/(mol K))")
    axes.set_ylim(bottom=0)


def draw_gibbs_energy(axes: Axes, crystal: QuasiHarmonicCrystal) -> None:
    """Gibbs energy per atom."""
    _by_temperature(axes, crystal, crystal.gibbs_energy, SERIES[0], "Gibbs energy (eV/atom)")


def draw_free_energies(axes: Axes, crystal: QuasiHarmonicCrystal) -> None:
    """Free energy per atom by volume above its lowest, at several temperatures, and where its minimum is."""
    n_atoms, last = len(crystal.atoms), len(crystal.temperatures) - 1
    chosen = np.unique(np.linspace(0, last, min(MOST_CURVES, last + 1)).round().astype(int))
    for share, k in zip(np.linspace(0, 1, len(chosen)), chosen, strict=True):
        values = 1000 * (crystal.free_energies[k] / n_atoms - crystal.gibbs_energy[k])
        axes.plot(
            crystal.volumes / n_atoms,
            values,
            "o-",
            color=color_map()(float(share)),
            markersize=3,
            label=f"{crystal.temperatures[k]:g} K",
        )
        axes.plot([crystal.volume[k] / n_atoms], [0.0], "s", color=color_map()(float(share)), markersize=4)
    axes.set_xlabel("volume (Å³/atom)")
    axes.set_ylabel("free energy above its minimum (meV/atom)")
    axes.legend(frameon=False)


def draw_modes(axes: Axes, crystal: QuasiHarmonicCrystal) -> None:
    """Grüneisen parameters of modes by their frequencies."""
    axes.plot(crystal.mode_frequencies, crystal.mode_gruneisen, "o", color=SERIES[0], markersize=2, alpha=0.6)
    axes.axhline(crystal.mean_gruneisen, color=SERIES[1], linewidth=1.0, label="mean at 300 K")
    axes.set_xlabel("frequency (THz)")
    axes.set_ylabel("Grüneisen parameter")
    axes.legend(frameon=False)


def _by_temperature(
    axes: Axes, crystal: QuasiHarmonicCrystal, values: NDArray[np.float64], color: str, name: str
) -> None:
    axes.plot(crystal.temperatures, values, color=color)
    axes.set_xlabel("temperature (K)")
    axes.set_ylabel(name)
