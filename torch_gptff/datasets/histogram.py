"""Approximate quantiles of more numbers than fit into memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS_PER_DECADE = 232
"""Number of bins in a decade; neighbouring bins differ by one per cent."""

DECADES = (-12, 12)


class LogHistogram:
    """Counts of magnitudes in bins one per cent wide, from 1e-12 to 1e12; smaller ones count as zero."""

    def __init__(self) -> None:
        self._counts = np.zeros((DECADES[1] - DECADES[0]) * BINS_PER_DECADE + 2, dtype=np.int64)
        self._sum = 0.0
        self._sum_of_squares = 0.0
        self.largest = 0.0

    def add(self, magnitudes: NDArray[np.float64]) -> None:
        """Count finite numbers, of any shape, none negative."""
        values = magnitudes.ravel()
        if not len(values):
            return
        with np.errstate(divide="ignore"):
            places = np.floor((np.log10(values) - DECADES[0]) * BINS_PER_DECADE) + 1
        last = len(self._counts) - 1
        self._counts += np.bincount(np.clip(places, 0, last).astype(np.int64), minlength=last + 1)
        self._sum += float(values.sum())
        self._sum_of_squares += float((values**2).sum())
        self.largest = max(self.largest, float(values.max()))

    @property
    def number(self) -> int:
        return int(self._counts.sum())

    @property
    def mean(self) -> float:
        return self._sum / self.number if self.number else float("nan")

    @property
    def rms(self) -> float:
        return (self._sum_of_squares / self.number) ** 0.5 if self.number else float("nan")

    def quantile(self, fraction: float) -> float:
        """The quantile of a fraction, to within one per cent."""
        if not self.number:
            return float("nan")
        place = int(np.searchsorted(np.cumsum(self._counts), fraction * self.number))
        if place == 0:
            return 0.0
        return min(float(10 ** ((place - 0.5) / BINS_PER_DECADE + DECADES[0])), self.largest)
