"""Mean squares of displacements, in blocks of a trajectory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from torch_gptff.errors import DiffusionError
from torch_gptff.workflows.diffusion.motion import Motion

MIN_BLOCKS = 3
MIN_FIT = 3
"""Lags through which a line is laid."""

N_LAGS = 60
"""Largest number of lags, spread evenly on a logarithmic axis."""

LEAST_BLOCK = 10.0
"""ps: of a shorter block, a tenth is a lag at which ions of a crystal still vibrate."""

DEFAULT_FIT = (0.1, 0.5)
"""Range of the fit, in units of the length of a block."""


@dataclass(frozen=True)
class BlockDisplacements:
    """Displacements within ``B`` blocks over ``K`` lags.

    Attributes:
        lags: ps, ``[K]``
        squares: the mean of Δr_i Δr_j over ions and starting times, Å², ``[B, K, 3, 3]``
        collective: the mean of (Σ q Δr)² over starting times, e²Å², ``[B, K]``; ``None`` without charges
        fit_range: lags of the fit, ps
        in_fit: which lags these are, bool, ``[K]``
    """

    lags: NDArray[np.float64]
    squares: NDArray[np.float64]
    collective: NDArray[np.float64] | None
    fit_range: tuple[float, float]
    in_fit: NDArray[np.bool_]


def block_displacements(motion: Motion, n_blocks: int, fit_range: tuple[float, float] | None) -> BlockDisplacements:
    """Displacements from every frame of a block to the later ones in it.

    Args:
        motion: of the ions
        n_blocks: three or more
        fit_range: lags of the fit, ps; by default :data:`DEFAULT_FIT`

    Raises:
        DiffusionError: blocks are too few or too short, or the range lies outside of them.
    """
    if n_blocks < MIN_BLOCKS:
        raise DiffusionError(f"errors come from the scatter of {MIN_BLOCKS} blocks or more, not of {n_blocks}")
    length = len(motion.positions) // n_blocks
    step = motion.timestep / 1000  # ps
    low, high = fit_range if fit_range is not None else (share * length * step for share in DEFAULT_FIT)
    if not 0 <= low < high:
        raise DiffusionError(f"a fit between lags of {low:g} and {high:g} ps makes no sense")
    if high > (length - 1) * step * (1 + 1e-9):
        raise DiffusionError(
            f"a block of the trajectory is {max(length - 1, 0) * step:.3g} ps long, and lags up to {high:.3g} ps are "
            f"to be fitted: {_enough(n_blocks, high + step)}, or choose shorter lags"
        )
    last = round(high / step + 1e-6)
    first = max(int(np.ceil(low / step - 1e-6)), 1)
    inside = np.unique(np.linspace(first, last, min(N_LAGS // 3, last - first + 1)).round().astype(int))
    if len(inside) < MIN_FIT:
        raise DiffusionError(
            f"only {len(inside)} frames lie between lags of {low:.3g} and {high:.3g} ps: {len(motion.positions)} "
            f"frames are too few for {n_blocks} blocks: {_enough(n_blocks, LEAST_BLOCK)}, or write frames more often"
        )
    before = np.unique(np.geomspace(1, first, N_LAGS - len(inside)).round().astype(int))
    lags = np.union1d(before, inside)
    squares = np.empty((n_blocks, len(lags), 3, 3))
    collective = None if motion.dipole is None else np.empty((n_blocks, len(lags)))
    for b in range(n_blocks):
        block = slice(b * length, (b + 1) * length)
        for k, lag in enumerate(lags):
            ions = motion.positions[block]
            moved = (ions[lag:] - ions[:-lag]).reshape(-1, 3)
            squares[b, k] = moved.T @ moved / len(moved)
            if collective is not None and motion.dipole is not None:
                dipole = motion.dipole[block]
                collective[b, k] = ((dipole[lag:] - dipole[:-lag]) ** 2).sum(axis=1).mean()
    return BlockDisplacements(
        lags=lags * step,
        squares=squares,
        collective=collective,
        fit_range=(first * step, last * step),
        in_fit=np.isin(lags, inside),
    )


def _enough(n_blocks: int, block: float) -> str:
    """Length of a trajectory for blocks of a given length, in words."""
    fewer = f" ({MIN_BLOCKS * block:.3g} ps with {MIN_BLOCKS} blocks)" if n_blocks > MIN_BLOCKS else ""
    return f"run at least {n_blocks * block:.3g} ps for {n_blocks} blocks{fewer}"


def slopes(blocks: BlockDisplacements, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slopes per ps of linear fits over the fit range, weighted by 1/lag.

    Args:
        blocks: for the lags
        values: ``[B, K, ...]``

    Returns:
        ``[B, ...]``
    """
    lags = blocks.lags[blocks.in_fit]
    weights = 1 / lags**2
    centered = lags - np.average(lags, weights=weights)
    pull = weights * centered / (weights * centered**2).sum()
    return np.einsum("k,bk...->b...", pull, values[:, blocks.in_fit])
