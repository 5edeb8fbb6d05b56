"""Structure and motion of atoms in molecular dynamics: distances, displacements and vibrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.record import Record
from torch_gptff.report.structures import evenly_spaced
from torch_gptff.report.style import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONGEST = 8.0
"""Largest distance of a radial distribution, Å."""

BIN = 0.05
"""Width of the bins of distances, Å."""

MOST_FOR_DISTANCES = 100
"""Largest number of frames whose distances are counted."""

MOST_FOR_MOTION = 4000
"""Largest number of frames whose displacements and vibrations are computed: the last ones of a longer run."""

MOST_POSITIONS = 1_000_000
"""Largest number of positions that are read for displacements and vibrations."""

LEAST_FOR_VIBRATIONS = 64
"""Smallest number of frames from which vibrations are told."""

LONGEST_BLOCK = 1024
"""Largest number of frames in a block over which vibrations are averaged."""


@dataclass(frozen=True)
class MotionAnalysis(Record):
    """Arrangement and motion of atoms along a run.

    Attributes:
        n_frames: frames of the run that the analysis is of
        distances: Å, ``[R]``; empty where the structure has no volume
        radial_distributions: g(r) by the pair of elements, ``"Cl–Na"``, each ``[R]``
        lags: ps, ``[K]``
        displacements: mean squared displacements by element, beside the motion of the centre of mass, Å², each ``[K]``
        frequencies: THz, ``[W]``; empty where frames are too few, or have no velocities
        vibrations: vibrational densities of states by element, whose sum has the integral one, 1/THz, each ``[W]``
        interval: time between frames, ps: faster vibrations than half its inverse are not seen
    """

    units: ClassVar[dict[str, str]] = {
        **{"distances": "Å", "lags": "ps", "displacements": "Å²", "frequencies": "THz", "vibrations": "1/THz"},
        "interval": "ps",
    }

    n_frames: int
    distances: NDArray[np.float64]
    radial_distributions: dict[str, NDArray[np.float64]]
    lags: NDArray[np.float64]
    displacements: dict[str, NDArray[np.float64]]
    frequencies: NDArray[np.float64]
    vibrations: dict[str, NDArray[np.float64]]
    interval: float

    @property
    def highest_frequency(self) -> float:
        """The highest frequency that the frames can tell, THz."""
        return 0.5 / self.interval

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the mean squared displacements of the elements.

        Args:
            axes: of matplotlib to draw on; by default new ones
        """
        from torch_gptff.workflows.drawing.md import draw_displacements

        return drawn(draw_displacements, self, axes)


def analyze_motion(frames: Sequence[Atoms], interval: float) -> MotionAnalysis:
    """Radial distributions, mean squared displacements and the vibrational density of states.

    Args:
        frames: evenly spaced, with positions that are not wrapped into the cell
        interval: time between them, ps
    """
    most = max(min(MOST_FOR_MOTION, MOST_POSITIONS // max(len(frames[0]), 1)), 2)
    last = [frames[k] for k in range(max(len(frames) - most, 0), len(frames))]
    distances, distributions = radial_distributions([frames[k] for k in evenly_spaced(len(frames), MOST_FOR_DISTANCES)])
    lags, displacements = mean_squared_displacements(last)
    frequencies, vibrations = vibrational_density(last, interval)
    return MotionAnalysis(
        n_frames=len(frames),
        distances=distances,
        radial_distributions=distributions,
        lags=np.asarray(lags * interval, dtype=np.float64),
        displacements=displacements,
        frequencies=frequencies,
        vibrations=vibrations,
        interval=interval,
    )


def radial_distributions(
    frames: Sequence[Atoms], longest: float = LONGEST, width: float = BIN
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Mean g(r) of every pair of elements: how much denser the second is about the first than everywhere.

    Args:
        frames: of the same atoms, periodic along three vectors; of others there is no density to compare with
        longest: Å
        width: of bins, Å

    Returns:
        distances, Å, ``[R]``, and g(r) by pair, each ``[R]``
    """
    from vesin import NeighborList

    first = frames[0]
    if not first.pbc.all() or first.cell.rank < 3:
        return np.empty(0), {}
    edges = np.arange(0.0, longest + width / 2, width)
    symbols = sorted(set(first.get_chemical_symbols()))
    members = {symbol: first.symbols == symbol for symbol in symbols}
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    totals = {pair: np.zeros(len(shells)) for pair in combinations_with_replacement(symbols, 2)}
    neighbors = NeighborList(cutoff=longest, full_list=True)
    for atoms in frames:
        i, j, d = neighbors.compute(atoms.positions, atoms.cell.array, periodic=True, quantities="ijd")
        for (one, other), total in totals.items():
            chosen = d[members[one][i] & members[other][j]]
            expected = members[one].sum() * members[other].sum() / atoms.get_volume() * shells
            total += np.histogram(chosen, edges)[0] / expected
    middle = (edges[1:] + edges[:-1]) / 2
    return middle, {f"{one}–{other}": total / len(frames) for (one, other), total in totals.items()}


def mean_squared_displacements(frames: Sequence[Atoms]) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    """Mean squared displacements of every element over lags of up to half the frames, from every frame on.

    Where the cell changes, displacements are those of the fractional coordinates, in the mean cell.

    Args:
        frames: evenly spaced, with positions that are not wrapped into the cell

    Returns:
        lags in frames, ``[K]``, and Å² by element, each ``[K]``
    """
    first = frames[0]
    positions = np.array([atoms.positions for atoms in frames])
    cells = np.array([atoms.cell.array for atoms in frames])
    if first.cell.rank == 3 and np.ptp(cells, axis=0).max() > 1e-9:
        positions = np.linalg.solve(cells.transpose(0, 2, 1), positions.transpose(0, 2, 1)).transpose(0, 2, 1)
        positions = positions @ cells.mean(axis=0)
    masses = first.get_masses()
    positions = positions - (np.einsum("fnk,n->fk", positions, masses) / masses.sum())[:, None]
    lags = np.arange(len(frames) // 2 + 1)
    found = {}
    for symbol in sorted(set(first.get_chemical_symbols())):
        moving = positions[:, first.symbols == symbol].reshape(len(frames), -1)
        found[symbol] = 3 * _mean_squares(moving)[lags].mean(axis=1)
    return lags, found


def _mean_squares(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of (x(t + lag) − x(t))² over t, ``[frames, columns]``, by Fourier transforms of the correlations:
    `Kneller et al., Comput. Phys. Commun. 91, 191 (1995) <https://doi.org/10.1016/0010-4655(95)00048-K>`_."""
    n_frames = len(x)
    x = x - x.mean(axis=0)
    spectrum = np.fft.rfft(x, 2 * n_frames, axis=0)
    counts = n_frames - np.arange(n_frames)
    products = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n_frames, axis=0)[:n_frames]
    squares = np.vstack([np.zeros((1, x.shape[1])), np.cumsum(x**2, axis=0)])
    ends = squares[n_frames - np.arange(n_frames)] + squares[-1] - squares[:n_frames]
    return np.asarray(np.maximum(ends - 2 * products, 0) / counts[:, None])


def vibrational_density(
    frames: Sequence[Atoms], interval: float
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """The power spectrum of the velocities, weighted with masses: the vibrational density of states.

    Args:
        frames: evenly spaced
        interval: time between them, ps

    Returns:
        frequencies, THz, ``[W]``, and the density by element, 1/THz, each ``[W]``, with the integral one together;
        empty of fewer than :data:`LEAST_FOR_VIBRATIONS` frames, or of atoms at rest
    """
    from scipy.integrate import trapezoid
    from scipy.signal import welch

    if len(frames) < LEAST_FOR_VIBRATIONS:
        return np.empty(0), {}
    first = frames[0]
    masses = first.get_masses()
    velocities = np.array([atoms.get_velocities() for atoms in frames])
    velocities -= (np.einsum("fnk,n->fk", velocities, masses) / masses.sum())[:, None]
    weighted = velocities * np.sqrt(masses)[:, None]
    length = min(len(frames), LONGEST_BLOCK)
    found = {}
    frequencies = np.empty(0)
    for symbol in sorted(set(first.get_chemical_symbols())):
        moving = weighted[:, first.symbols == symbol].reshape(len(frames), -1)
        frequencies, power = welch(moving, fs=1 / interval, nperseg=length, axis=0, detrend=False)
        found[symbol] = power.sum(axis=1)
    total = trapezoid(sum(found.values()), frequencies)
    if not total > 0:
        return np.empty(0), {}
    return frequencies, {symbol: power / total for symbol, power in found.items()}
