"""Errors of energy per atom, forces and stress, and their standard errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torch_gptff.record import Record

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Score = Callable[[Floats], Floats]

RESAMPLES = 200
"""Number of bootstrap samples for a standard error."""


@dataclass(frozen=True)
class Scores(Record):
    """One number for each label; ``None`` where the label is not known.

    Attributes:
        energy_per_atom: score of the energy per atom, eV unless the score has no unit
        forces: score of the force components, eV/Å
        stress: score of the nine stress components, eV/Å³
    """

    energy_per_atom: float | None = None
    forces: float | None = None
    stress: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The numbers by label, and nothing else."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Scores:
        """The scores that :meth:`to_dict` gave."""
        return super().from_dict({"record": cls.__name__, **document})


@dataclass(frozen=True, eq=False)
class Compared:
    """Known and predicted values of one label; a row with a NaN among the known ones is not known.

    Attributes:
        known: known values, ``[K, …]``
        predicted: predicted values, of the same shape
        frame: number of the frame that a row belongs to, ``[K]``
    """

    known: Floats
    predicted: Floats
    frame: Integers

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Whether each row is known, ``[K]``."""
        return np.asarray(~np.isnan(self._flat(self.known)).any(axis=1))

    @property
    def errors(self) -> Floats:
        """Predicted minus known of the rows that are known, ``[K', …]``."""
        rows = self.is_known
        return self.predicted[rows] - self.known[rows]

    def sums(self, n_frames: int) -> FrameSums:
        """Sums over the values of each frame, from which scores are computed."""
        rows = self.is_known
        known = self._flat(self.known)[rows]
        error = self._flat(self.predicted)[rows] - known
        centred = known - known.mean() if known.size else known
        terms = (np.ones_like(known), np.abs(error), error**2, centred, centred**2)
        columns = [np.bincount(self.frame[rows], term.sum(axis=1), n_frames) for term in terms]
        return FrameSums(np.stack(columns, axis=1))

    @staticmethod
    def _flat(values: Floats) -> Floats:
        """One row of numbers for each row, ``[K, …]`` to ``[K, M]``."""
        return values.reshape(len(values), math.prod(values.shape[1:]))


@dataclass(frozen=True, eq=False)
class FrameSums:
    """Sums over the values of every frame, from which scores are computed.

    Attributes:
        table: number of values, and sums of absolute errors, squared errors, values about their mean, and their
            squares,
            ``[F, 5]``
    """

    table: Floats

    def of(self, frames: NDArray[Any] | slice) -> FrameSums:
        """The sums of some of the frames."""
        return FrameSums(self.table[frames])

    @property
    def number(self) -> int:
        """Values that are known."""
        return round(float(self.table[:, 0].sum()))

    def mae(self) -> float | None:
        """The mean absolute error."""
        return self._score(_mae)

    def rmse(self) -> float | None:
        """The root mean square error."""
        return self._score(_rmse)

    def r2(self) -> float | None:
        """``1 − Σ error² / Σ (known − mean)²``; ``None`` where all known values are the same."""
        return self._score(_r2)

    def standard_errors(self, seed: int = 0) -> dict[str, float | None]:
        """Standard errors of ``mae``, ``rmse`` and ``r2``: their spread over bootstrap samples of the frames.

        Frames are drawn rather than values, for the values of one frame are not independent. ``None`` where fewer than
        two frames are known.
        """
        frames = self.table[self.table[:, 0] > 0]
        if len(frames) < 2:
            return {"mae": None, "rmse": None, "r2": None}
        drawn = np.stack(list(_drawn(frames, seed)))
        return {"mae": _spread(_mae(drawn)), "rmse": _spread(_rmse(drawn)), "r2": _spread(_r2(drawn))}

    def _score(self, score: Score) -> float | None:
        if not self.number:
            return None
        value = float(score(self.table.sum(axis=0)))
        return value if np.isfinite(value) else None


def _mae(sums: Floats) -> Floats:
    return sums[..., 1] / sums[..., 0]


def _rmse(sums: Floats) -> Floats:
    return np.sqrt(sums[..., 2] / sums[..., 0])


def _r2(sums: Floats) -> Floats:
    number, _, squared, first, second = np.moveaxis(sums, -1, 0)
    variation = second - first**2 / number
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variation > 1e-12 * second, 1 - squared / variation, np.nan)


def _drawn(frames: Floats, seed: int) -> Iterator[Floats]:
    """The sums of :data:`RESAMPLES` draws of as many frames as there are."""
    generator = np.random.default_rng(seed)
    for _ in range(RESAMPLES):
        times = np.bincount(generator.integers(len(frames), size=len(frames)), minlength=len(frames))
        yield times @ frames


def _spread(values: Floats) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.std(ddof=1)) if len(finite) > 1 else None
