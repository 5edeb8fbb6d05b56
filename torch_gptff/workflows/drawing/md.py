"""Molecular dynamics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from torch_gptff.report.style import SERIES
from torch_gptff.workflows.md.analysis import MotionAnalysis
from torch_gptff.workflows.md.result import MolecularDynamicsRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_energies(axes: Axes, run: MolecularDynamicsRun) -> None:
    """Potential and total energy over time."""
    potential = run.potential_energy / run.n_atoms
    axes.plot(run.time / 1000, potential, color=SERIES[0], label="potential")
    axes.plot(run.time / 1000, potential + run.kinetic_energy / run.n_atoms, color=SERIES[1], label="total")
    axes.set_xlabel("time (ps)")
    axes.set_ylabel("energy (eV/atom)")
    axes.legend(frameon=False)


def draw_radial_distributions(axes: Axes, analysis: MotionAnalysis) -> None:
    """g(r) of the pairs of elements."""
    for k, (pair, values) in enumerate(analysis.radial_distributions.items()):
        axes.plot(analysis.distances, values, color=SERIES[k % len(SERIES)], linewidth=1.2, label=pair)
    axes.axhline(1, color="black", linewidth=0.8, linestyle=":")
    axes.set_xlim(0, analysis.distances[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("distance (Å)")
    axes.set_ylabel("g(r)")
    axes.legend(frameon=False)


def draw_displacements(axes: Axes, analysis: MotionAnalysis) -> None:
    """Mean squared displacements of the elements."""
    for k, (symbol, values) in enumerate(analysis.displacements.items()):
        axes.plot(analysis.lags, values, color=SERIES[k % len(SERIES)], label=symbol)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("lag (ps)")
    axes.set_ylabel("mean squared displacement (Å²)")
    axes.legend(frameon=False)


def draw_vibrations(axes: Axes, analysis: MotionAnalysis) -> None:
    """Vibrational density of states, with the parts of the elements."""
    total = np.sum(list(analysis.vibrations.values()), axis=0)
    axes.fill_between(analysis.frequencies, 0, total, color=SERIES[7], alpha=0.25, linewidth=0)
    axes.plot(analysis.frequencies, total, color=SERIES[7], linewidth=1.0, label="all")
    for k, (symbol, values) in enumerate(analysis.vibrations.items()):
        axes.plot(analysis.frequencies, values, color=SERIES[k % 7], linewidth=1.2, label=symbol)
    seen = analysis.frequencies[total > 0.002 * total.max()]
    axes.set_xlim(0, 1.05 * float(seen.max(initial=analysis.frequencies[1])))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("frequency (THz)")
    axes.set_ylabel("states (1/THz)")
    axes.legend(frameon=False)
