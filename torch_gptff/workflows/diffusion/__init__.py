"""Diffusion of ions along trajectories: mean squared displacements, coefficients, conductivities, Arrhenius lines."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.workflows.diffusion.arrhenius import ArrheniusFit, ArrheniusLine, fit_arrhenius
    from torch_gptff.workflows.diffusion.coefficient import Diffusion, diffusion
    from torch_gptff.workflows.diffusion.density import IonDensity, ion_density
    from torch_gptff.workflows.diffusion.estimate import Estimate
    from torch_gptff.workflows.diffusion.motion import Motion, ion_motion
    from torch_gptff.workflows.diffusion.series import DiffusionSeries, diffusion_series

__all__ = [
    "ArrheniusFit",
    "ArrheniusLine",
    "Diffusion",
    "DiffusionSeries",
    "Estimate",
    "IonDensity",
    "Motion",
    "diffusion",
    "diffusion_series",
    "fit_arrhenius",
    "ion_density",
    "ion_motion",
]

import_lazily(
    __name__,
    {
        ".arrhenius": "ArrheniusFit ArrheniusLine fit_arrhenius",
        ".coefficient": "Diffusion diffusion",
        ".density": "IonDensity ion_density",
        ".estimate": "Estimate",
        ".motion": "Motion ion_motion",
        ".series": "DiffusionSeries diffusion_series",
    },
)
