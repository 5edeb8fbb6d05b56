"""Diffusion: how fast ions spread, and how well they conduct, from the mean squares of their displacements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from torch_gptff.errors import DiffusionError
from torch_gptff.record import Record
from torch_gptff.report import Column
from torch_gptff.report.style import drawn
from torch_gptff.units import CM2_PER_S_PER_ANGSTROM2_PER_PS, ELEMENTARY_CHARGE, JOULE_PER_EV, KELVIN_IN_EV
from torch_gptff.workflows.diffusion.estimate import Estimate, mean_of_blocks, ratio_of_blocks
from torch_gptff.workflows.diffusion.motion import Motion
from torch_gptff.workflows.diffusion.msd import LEAST_BLOCK, MIN_BLOCKS, BlockDisplacements, block_displacements, slopes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MIN_HOPS = 12.0
"""Smallest number of jumps for an estimate. The relative error of a diffusion coefficient is about
3.43/√(jumps) (`He et al., npj Comput. Mater. 4, 18 (2018) <https://doi.org/10.1038/s41524-018-0074-y>`_)."""

HOP_DISTANCE = 2.5
"""Length of a jump, Å."""

NONE_SEEN = 3.0
"""Upper limit (95 %, Poisson) on the expected number of events when none was observed."""

VIBRATION = 1.0
"""ps: at shorter lags, ions of a crystal swing about their sites rather than leave them."""

_MS_PER_CM_PER_S_PER_M = 10.0


@dataclass(frozen=True)
class Diffusion(Record):
    """The diffusion of a species at one temperature.

    Errors come from blocks of the trajectory, which are independent of each other but for the memory of the motion
    itself; 95 % intervals are by Student's t.

    Attributes:
        species: of the ions
        n_ions: their number
        temperature: K
        volume: of the mean cell, Å³
        duration: of the trajectory, ps
        n_frames: read
        n_blocks: into which they were divided
        origin: what was kept at rest, see :func:`~torch_gptff.workflows.ion_motion`
        lags: ps, ``[K]``
        msd: mean squared displacement of an ion, Å², ``[K]``
        msd_error: its standard error, ``[K]``
        msd_axes: the same along x, y and z, Å², ``[K, 3]``
        collective_msd: mean square of Σ q Δr, e²Å², ``[K]``; ``None`` without charges
        fit_range: lags of the fit, ps
        diffusivity: self-diffusion (tracer) coefficient, a third of the trace of ``tensor``, cm²/s
        tensor: D_ij of Δr_i Δr_j = 2 D_ij t, cm²/s, ``[3, 3]``
        principal_values: its eigenvalues, ascending
        principal_axes: unit vectors of these, in rows, ``[3, 3]``
        exponent: α of msd ~ t^α over ``fit_range``: 1 for diffusion, less where ions are caged still
        persistence: the mean squared displacement over half the trajectory, by what ``diffusivity`` foretells: 1 for
            diffusion, within the noise of one window; far less where motion at the lags of the fit leads nowhere;
            ``None`` where nothing is foretold
        hops: jumps of ``hop_distance`` that the displacements amount to, of all ions together
        hop_distance: Å
        is_diffusive: whether the motion suffices for an estimate: ``diffusivity`` is above zero beyond its error, there
            were at least :data:`MIN_HOPS` jumps, and ``persistence`` is not below what chance allows
        upper_bound: cm²/s: at 95 % confidence the ions diffuse no faster
        charges: of the elements, e
        nernst_einstein_conductivity: of ions that move independently, n q² D/(V kT), mS/cm; ``None`` without charges
        conductivity: of all charges as they move together, from ``collective_msd``, mS/cm; ``None`` likewise
        haven_ratio: of the former to the latter; ``None`` where either is not above zero
        remarks: what to know before believing the numbers
    """

    derived: ClassVar[tuple[str, ...]] = ("dimensionality",)
    units: ClassVar[dict[str, str]] = {
        "temperature": "K",
        "volume": "Å³",
        "duration": "ps",
        "lags": "ps",
        "msd": "Å²",
        "msd_error": "Å²",
        "msd_axes": "Å²",
        "collective_msd": "e²Å²",
        "fit_range": "ps",
        "diffusivity": "cm²/s",
        "tensor": "cm²/s",
        "principal_values": "cm²/s",
        "upper_bound": "cm²/s",
        "hop_distance": "Å",
        "charges": "e",
        "nernst_einstein_conductivity": "mS/cm",
        "conductivity": "mS/cm",
    }

    columns: ClassVar[tuple[Column, ...]] = (
        Column("T", "K", 0, lambda run: run.temperature),
        Column("D", "cm²/s", value=lambda run: run.diffusivity_text, number=True),
        Column("±", "%", 0, lambda run: _percent(run.diffusivity) if run.is_diffusive else None),
        Column("σ", "mS/cm", value=lambda run: _three_digits(run, run.conductivity), number=True),
        Column("±", "%", 0, lambda run: _percent(run.conductivity) if run.is_diffusive else None),
        Column(
            "σ indep.", "mS/cm", value=lambda run: _three_digits(run, run.nernst_einstein_conductivity), number=True
        ),
        Column("Haven", "", 2, lambda run: run.haven_ratio.value if run.is_diffusive and run.haven_ratio else None),
        Column("jumps", "", 0, lambda run: run.hops),
        Column("dim.", value=lambda run: run.dimensionality if run.is_diffusive else None),
    )

    species: str
    n_ions: int
    temperature: float
    volume: float | None
    duration: float
    n_frames: int
    n_blocks: int
    origin: str
    lags: NDArray[np.float64]
    msd: NDArray[np.float64]
    msd_error: NDArray[np.float64]
    msd_axes: NDArray[np.float64]
    collective_msd: NDArray[np.float64] | None
    fit_range: tuple[float, float]
    diffusivity: Estimate
    tensor: NDArray[np.float64]
    principal_values: tuple[Estimate, ...]
    principal_axes: NDArray[np.float64]
    exponent: Estimate | None
    persistence: float | None
    hops: float
    hop_distance: float
    is_diffusive: bool
    upper_bound: float
    charges: dict[str, float]
    nernst_einstein_conductivity: Estimate | None
    conductivity: Estimate | None
    haven_ratio: Estimate | None
    remarks: tuple[str, ...]

    @property
    def diffusivity_text(self) -> str:
        """``diffusivity``, or its upper bound where no coefficient is known, cm²/s."""
        return f"{self.diffusivity.value:.2e}" if self.is_diffusive else f"< {self.upper_bound:.1e}"

    @property
    def dimensionality(self) -> int:
        """Dimension of the network of paths: the number of eigenvalues above zero beyond their error, and
        at least a tenth of the largest."""
        largest = self.principal_values[-1].value
        return sum(each.low > 0 and each.value >= largest / 10 for each in self.principal_values)

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the mean squared displacement and its fit.

        Args:
            axes: of matplotlib to draw on; by default new ones
        """
        from torch_gptff.workflows.drawing.diffusion import draw_displacements

        return drawn(draw_displacements, self, axes)


def _percent(estimate: Estimate | None) -> float | None:
    """Standard error of an estimate, %."""
    return None if estimate is None else 100 * estimate.standard_error / abs(estimate.value)


def _three_digits(run: Diffusion, estimate: Estimate | None) -> str | None:
    return None if estimate is None or not run.is_diffusive else f"{estimate.value:.3g}"


def diffusion(
    motion: Motion,
    temperature: float | None = None,
    *,
    n_blocks: int = 10,
    fit_range: tuple[float, float] | None = None,
    hop_distance: float = HOP_DISTANCE,
) -> Diffusion:
    """The diffusion coefficient of ions, their conductivity where they have charges, and how sure these are.

    The trajectory is divided into blocks. In each, displacements are averaged over all ions and all starting times, and
    a line is laid through their mean squares between the lags of ``fit_range``, weighted by 1/lag; the mean over blocks
    is the estimate, and their scatter its error. What happens at lags below the range, vibration and jumps to and fro,
    is left out by the line's intercept.

    Args:
        motion: of the ions, see :func:`~torch_gptff.workflows.ion_motion`
        temperature: K; by default the mean kinetic temperature of the trajectory
        n_blocks: three or more. Fewer are longer, and allow for a longer memory of the motion; more are surer of error
        fit_range: lags of the fit, ps; by default a tenth to a half of the length of a block
        hop_distance: of a jump, Å

    Raises:
        DiffusionError: the trajectory is too short for its blocks, or a setting makes no sense. Too little diffusion is
            no error: see ``is_diffusive`` and ``upper_bound``.
    """
    kelvin, remarks = _temperature(motion, temperature)
    blocks = block_displacements(motion, n_blocks, fit_range)
    tensors = slopes(blocks, blocks.squares) / 2 * CM2_PER_S_PER_ANGSTROM2_PER_PS  # [B, 3, 3]
    traces = np.trace(tensors, axis1=1, axis2=2) / 3
    diffusivity = mean_of_blocks(traces)
    tensor = tensors.mean(axis=0)
    axes = np.linalg.eigh(tensor)[1].T
    n_ions = motion.positions.shape[1]
    per_hop = hop_distance**2 / (6 * n_ions * motion.duration) * CM2_PER_S_PER_ANGSTROM2_PER_PS
    hops = max(diffusivity.value, 0.0) / per_hop
    persistence = _persistence(motion, diffusivity.value)
    leads_on = persistence is None or persistence >= _least_persistence(n_ions)
    is_diffusive = diffusivity.low > 0 and hops >= MIN_HOPS and leads_on
    exponent = _exponent(blocks)
    if blocks.fit_range[0] < VIBRATION * (1 - 1e-9):
        remarks.append(
            f"Lags from {blocks.fit_range[0]:.2g} ps on are fitted, at which ions of a crystal still vibrate: take "
            f"{VIBRATION:g} ps or more, with fewer blocks or a longer run: of {n_blocks * LEAST_BLOCK:g} ps for "
            f"{n_blocks} blocks, of {MIN_BLOCKS * LEAST_BLOCK:g} ps for {MIN_BLOCKS}."
        )
    if diffusivity.low > 0 and hops >= MIN_HOPS and not leads_on:
        remarks.append(
            f"Over half the trajectory the ions come {persistence:.2f} times as far, in mean square, as their motion "
            "at the lags of the fit foretells: they move to and fro. Only the upper bound is valid; fit longer lags."
        )
    elif not is_diffusive:
        remarks.append(
            f"Too little diffusion for an estimate: displacements amount to {hops:.2g} jumps of {hop_distance:g} Å. "
            f"Only the upper bound is valid; {_longer(motion.duration, hops)}."
        )
    elif exponent is not None and abs(exponent.value - 1) > 0.1 and not exponent.low <= 1 <= exponent.high:
        remarks.append(
            f"The mean squared displacement grows as t^{exponent.value:.2f} over the lags of the fit, not as t: choose "
            "longer lags, or run longer."
        )
    ideal, actual, haven = _conductivities(motion, blocks, traces, kelvin)
    msd = np.trace(blocks.squares, axis1=2, axis2=3)  # [B, K]
    return Diffusion(
        species=motion.species,
        n_ions=n_ions,
        temperature=kelvin,
        volume=motion.volume if motion.is_crystal else None,
        duration=motion.duration,
        n_frames=len(motion.positions),
        n_blocks=n_blocks,
        origin=motion.origin,
        lags=blocks.lags,
        msd=msd.mean(axis=0),
        msd_error=msd.std(axis=0, ddof=1) / np.sqrt(n_blocks),
        msd_axes=np.diagonal(blocks.squares.mean(axis=0), axis1=1, axis2=2).copy(),
        collective_msd=None if blocks.collective is None else blocks.collective.mean(axis=0),
        fit_range=blocks.fit_range,
        diffusivity=diffusivity,
        tensor=tensor,
        principal_values=tuple(mean_of_blocks(np.einsum("i,bij,j->b", axis, tensors, axis)) for axis in axes),
        principal_axes=axes,
        exponent=exponent,
        persistence=persistence,
        hops=hops,
        hop_distance=hop_distance,
        is_diffusive=is_diffusive,
        upper_bound=max(diffusivity.high, NONE_SEEN * per_hop),
        charges=motion.charges,
        nernst_einstein_conductivity=ideal,
        conductivity=actual,
        haven_ratio=haven,
        remarks=tuple(remarks),
    )


def _longer(duration: float, hops: float) -> str:
    """Length of a run with :data:`MIN_HOPS` jumps, at the observed rate."""
    if hops < 1:
        return f"run at least {float(f'{MIN_HOPS * duration:.3g}'):g} ps in place of {duration:.3g} ps, or hotter"
    needed = max(MIN_HOPS / hops, 2.0) * duration
    return f"run some {float(f'{needed:.2g}'):g} ps in place of {duration:.3g} ps, or hotter"


def _temperature(motion: Motion, given: float | None) -> tuple[float, list[str]]:
    if given is None:
        if motion.temperature is None:
            raise DiffusionError("the trajectory has no velocities: give the temperature")
        return motion.temperature, []
    if not given > 0:
        raise DiffusionError(f"a temperature of {given} K makes no sense")
    if motion.temperature is not None and abs(motion.temperature - given) > 0.1 * given:
        told = f"The atoms move as at {motion.temperature:.0f} K, and {given:g} K is given."
        return given, [told]
    return given, []


def _persistence(motion: Motion, diffusivity: float) -> float | None:
    """⟨Δr²⟩ over half the trajectory by 6 D t."""
    if diffusivity <= 0:
        return None
    half = len(motion.positions) // 2
    moved = motion.positions[half:] - motion.positions[:-half]
    foretold = 6 * diffusivity / CM2_PER_S_PER_ANGSTROM2_PER_PS * half * motion.timestep / 1000
    return float((moved**2).sum(axis=2).mean() / foretold)


def _least_persistence(n_ions: int) -> float:
    """What ions that diffuse along one direction fall short of once in a thousand times, by a single displacement of
    each; and a half, where there are many."""
    return min(float(stats.chi2.ppf(1e-3, n_ions)) / n_ions, 0.5)


def _exponent(blocks: BlockDisplacements) -> Estimate | None:
    """Exponent of the power law over the fit range; ``None`` where an ion never moves."""
    msd = np.trace(blocks.squares, axis1=2, axis2=3)[:, blocks.in_fit]
    if (msd <= 0).any():
        return None
    return mean_of_blocks(np.polyfit(np.log(blocks.lags[blocks.in_fit]), np.log(msd.T), 1)[0])


def _conductivities(
    motion: Motion, blocks: BlockDisplacements, traces: NDArray[np.float64], kelvin: float
) -> tuple[Estimate | None, Estimate | None, Estimate | None]:
    """Conductivities of independent ions and of all charges together, mS/cm, and their ratio."""
    if blocks.collective is None:
        return None, None, None
    if not motion.is_crystal:
        raise DiffusionError("a conductivity is per volume: the structure must be periodic in three directions")
    # e²/(V kT) for a D in cm²/s, with V in Å³: (C² / (m³ J)) m²/s = S/m
    factor = ELEMENTARY_CHARGE**2 / (motion.volume * 1e-30 * KELVIN_IN_EV * kelvin * JOULE_PER_EV) * 1e-4
    factor *= _MS_PER_CM_PER_S_PER_M
    charge = motion.charges.get(motion.species, 0.0)
    alone = motion.positions.shape[1] * charge**2 * traces
    together = slopes(blocks, blocks.collective) / 6 * CM2_PER_S_PER_ANGSTROM2_PER_PS
    ideal, actual = mean_of_blocks(alone) * factor, mean_of_blocks(together) * factor
    haven = ratio_of_blocks(alone, together) if ideal.low > 0 and actual.low > 0 else None
    return ideal, actual, haven
