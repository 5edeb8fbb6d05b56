"""Diffusion at several temperatures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch_gptff.errors import DiffusionError
from torch_gptff.record import Record
from torch_gptff.workflows.diffusion.arrhenius import ArrheniusFit, Quantity, fit_arrhenius
from torch_gptff.workflows.diffusion.coefficient import Diffusion
from torch_gptff.workflows.diffusion.estimate import Estimate


@dataclass(frozen=True)
class DiffusionSeries(Record):
    """Runs of one material, and what follows from them together.

    Attributes:
        labels: of the runs, such as their files
        runs: in the same order
        diffusivity_fit: Arrhenius lines through the diffusion coefficients; ``None`` where there are too few
        nernst_einstein_fit: through the conductivities of ions that move independently, times T; ``None`` likewise
        conductivity_fit: through those of all charges together, times T; ``None`` likewise
    """

    labels: tuple[str, ...]
    runs: tuple[Diffusion, ...]
    diffusivity_fit: ArrheniusFit | None
    nernst_einstein_fit: ArrheniusFit | None
    conductivity_fit: ArrheniusFit | None


def diffusion_series(runs: Mapping[str, Diffusion], regimes: Literal[1, 2] | None = None) -> DiffusionSeries:
    """Put runs at several temperatures together. Those without enough diffusion are not fitted.

    Args:
        runs: by label
        regimes: of the Arrhenius fit, see :func:`~torch_gptff.workflows.fit_arrhenius`

    Raises:
        DiffusionError: there are none, or they are of several species.
    """
    species = {run.species for run in runs.values()}
    if len(species) != 1:
        raise DiffusionError(f"a series is of one species, and this is of {', '.join(sorted(species)) or 'none'}")
    return DiffusionSeries(
        labels=tuple(runs),
        runs=tuple(runs.values()),
        diffusivity_fit=_fit(runs, "diffusivity", "diffusivity", regimes),
        nernst_einstein_fit=_fit(runs, "nernst_einstein_conductivity", "conductivity", regimes),
        conductivity_fit=_fit(runs, "conductivity", "conductivity", regimes),
    )


def _fit(
    runs: Mapping[str, Diffusion], name: str, quantity: Quantity, regimes: Literal[1, 2] | None
) -> ArrheniusFit | None:
    """``None`` where fewer than two temperatures have a value above zero beyond its error."""
    estimates = [_valid(run, getattr(run, name)) for run in runs.values()]
    kelvins = [run.temperature for run in runs.values()]
    known = {kelvin for kelvin, each in zip(kelvins, estimates, strict=True) if each is not None}
    if len(known) < 2 * (regimes or 1):
        return None
    return fit_arrhenius(kelvins, estimates, quantity, regimes)


def _valid(run: Diffusion, estimate: Estimate | None) -> Estimate | None:
    return estimate if run.is_diffusive and estimate is not None and estimate.low > 0 else None
