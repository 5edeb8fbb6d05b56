"""Equations of state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from torch_gptff.report.style import SERIES
from torch_gptff.workflows.eos.curve import EquationOfState

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_curve(axes: Axes, curve: EquationOfState) -> None:
    """Energies per atom by volume per atom, relative to the lowest, with every fit."""
    n_atoms = len(curve.atoms)
    volumes = np.linspace(curve.volumes[0], curve.volumes[-1], 200)
    zero = curve.energies.min()
    for number, fit in enumerate(curve.fits):
        axes.plot(
            volumes / n_atoms,
            1000 * (fit.energies(volumes) - zero) / n_atoms,
            color=SERIES[number],
            linestyle=("-", "--", ":", "-.")[number],
            label=form_name(fit.form),
        )
    energies = 1000 * (curve.energies - zero) / n_atoms
    axes.plot(curve.volumes / n_atoms, energies, "o", color="black", label="computed", zorder=3)
    axes.set_xlabel("volume (Å³/atom)")
    axes.set_ylabel("energy (meV/atom)")
    axes.legend(frameon=False)


def form_name(form: str) -> str:
    """``"Birch–Murnaghan"``."""
    return form.title().replace("-", "–")
