"""Vacancies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from torch_gptff.report.style import SERIES
from torch_gptff.workflows.vacancy import VacancyFormation

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_energies(axes: Axes, crystal: VacancyFormation) -> None:
    """Formation energies of the distinct sites."""
    places = np.arange(len(crystal.vacancies))
    axes.barh(places, [each.energy for each in crystal.vacancies], 0.72, color=SERIES[0])
    axes.set_yticks(places, [f"{each.element} {each.site}" for each in crystal.vacancies])
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.set_xlabel("formation energy (eV)")
    axes.grid(False, axis="y")
