"""Relaxations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from torch_gptff.report.style import SERIES
from torch_gptff.workflows.relaxation import Relaxation

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _by_step(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.set_xlabel("step")


def draw_energies(axes: Axes, relaxation: Relaxation) -> None:
    """Energy per atom above the last one, by step."""
    assert relaxation.energies is not None
    energies = 1000 * (relaxation.energies - relaxation.energies[-1]) / len(relaxation.final)
    axes.plot(np.arange(len(energies)), energies, "o-", color=SERIES[0], markersize=3)
    _by_step(axes)
    axes.set_ylabel("energy above the last (meV/atom)")


def draw_forces(axes: Axes, relaxation: Relaxation) -> None:
    """Largest force on an atom, by step."""
    assert relaxation.forces is not None
    axes.plot(np.arange(len(relaxation.forces)), relaxation.forces, "o-", color=SERIES[1], markersize=3)
    if (relaxation.forces > 0).any():
        axes.set_yscale("log")
    _by_step(axes)
    axes.set_ylabel("largest force (eV/Å)")
