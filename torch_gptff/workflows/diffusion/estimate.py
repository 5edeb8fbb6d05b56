"""Estimates with their uncertainty, from blocks of a trajectory that are independent of each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from torch_gptff.record import Record

CONFIDENCE = 0.95
"""Confidence level of the intervals."""


@dataclass(frozen=True)
class Estimate(Record):
    """A quantity with its uncertainty.

    Attributes:
        value: the estimate
        standard_error: its standard deviation
        low: lower end of the 95 % interval
        high: upper end
    """

    value: float
    standard_error: float
    low: float
    high: float

    def __mul__(self, factor: float) -> Estimate:
        """The estimate in other units."""
        low, high = sorted((self.low * factor, self.high * factor))
        return Estimate(self.value * factor, self.standard_error * abs(factor), low, high)


def mean_of_blocks(values: ArrayLike) -> Estimate:
    """The mean of independent values of equal weight, with an interval by Student's t.

    Args:
        values: of three blocks or more, ``[B]``
    """
    array = np.asarray(values, dtype=float)
    return _interval(float(array.mean()), float(array.std(ddof=1) / np.sqrt(len(array))), len(array) - 1)


def ratio_of_blocks(numerators: ArrayLike, denominators: ArrayLike) -> Estimate:
    """The ratio of two means over the same blocks, by the jackknife.

    Args:
        numerators: ``[B]``
        denominators: ``[B]``
    """
    a, b = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    n = len(a)
    without = (a.sum() - a) / (b.sum() - b)
    whole = a.sum() / b.sum()
    value = n * whole - (n - 1) * without.mean()
    error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    return _interval(float(value), float(error), n - 1)


def normal(value: float, standard_error: float) -> Estimate:
    """An estimate whose standard error is known."""
    half = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * standard_error
    return Estimate(value, standard_error, value - half, value + half)


def _interval(value: float, error: float, freedom: int) -> Estimate:
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    return Estimate(value, error, value - half, value + half)
