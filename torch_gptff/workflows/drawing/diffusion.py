"""Diffusion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from torch_gptff.report.style import SERIES
from torch_gptff.units import KELVIN_IN_EV
from torch_gptff.workflows.diffusion.arrhenius import ArrheniusFit
from torch_gptff.workflows.diffusion.coefficient import Diffusion
from torch_gptff.workflows.diffusion.series import DiffusionSeries

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_displacements(axes: Axes, run: Diffusion) -> None:
    """Mean squared displacement with standard errors, its parts along the axes, and the line of the fit."""
    axes.plot(run.lags, run.msd, color=SERIES[0], label="all")
    axes.fill_between(
        run.lags, run.msd - run.msd_error, run.msd + run.msd_error, color=SERIES[0], alpha=0.25, linewidth=0
    )
    for k, name in enumerate("xyz"):
        axes.plot(run.lags, run.msd_axes[:, k], color=SERIES[2 + k], linewidth=0.9, label=f"along {name}")
    inside = (run.lags >= run.fit_range[0] * (1 - 1e-9)) & (run.lags <= run.fit_range[1] * (1 + 1e-9))
    lags, slope = run.lags[inside], 6e4 * run.diffusivity.value
    offset = np.average(run.msd[inside] - slope * lags, weights=1 / lags**2)
    axes.plot(lags, offset + slope * lags, color=SERIES[1], linestyle="--", label="fit")
    axes.set_xlabel("lag (ps)")
    axes.set_ylabel("mean squared displacement (Å²)")
    if (run.msd > 0).all():
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.legend(frameon=False)


def draw_arrhenius(axes: Axes, fit: ArrheniusFit, series: DiffusionSeries) -> None:
    """Values over the inverse temperature with standard errors, and lines of the fit. Triangles are upper bounds."""
    conducts = fit.quantity == "conductivity"
    factor = fit.temperatures if conducts else 1.0
    axes.errorbar(
        1000 / fit.temperatures, fit.values * factor, yerr=fit.errors * factor, fmt="o", color=SERIES[0], capsize=2
    )
    if not conducts:
        bounds = [(run.temperature, run.upper_bound) for run in series.runs if not run.is_diffusive]
        axes.plot([1000 / kelvin for kelvin, _ in bounds], [bound for _, bound in bounds], "v", color=SERIES[7])
    for k, line in enumerate(fit.lines):
        ends = np.array([line.temperatures.min(), line.temperatures.max()])
        inverse = 1 / np.linspace(1 / ends.min(), 1 / ends.max(), 50)
        logs = line.intercept - line.activation_energy.value / (KELVIN_IN_EV * inverse)
        axes.plot(1000 / inverse, np.exp(logs), color=SERIES[1 + k], label=f"{line.activation_energy} eV")
    axes.set_yscale("log")
    _label_between_powers(axes)
    axes.set_xlabel("1000 K / T")
    axes.set_ylabel("σT (K mS/cm)" if conducts else "D (cm²/s)")
    axes.legend(frameon=False)


def _label_between_powers(axes: Axes) -> None:
    """Label 1, 2 and 5 of each power of ten where the values span few of them."""
    from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

    low, high = axes.get_ylim()
    if high < 300 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(LogFormatterSciNotation(minor_thresholds=(np.inf, np.inf)))
        axes.yaxis.set_minor_formatter(NullFormatter())
