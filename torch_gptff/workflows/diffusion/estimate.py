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

    def __str__(self) -> str:
        """The value and its standard error to two digits of the error, ``"1.23 ± 0.04"``."""
        if self.standard_error <= 0 or self.value == 0:
            return f"{self.value:.3g}"
        largest = max(abs(self.value), self.standard_error)
        power = int(np.floor(np.log10(largest)))
        scale = 10.0**power if not -3 <= power < 4 else 1.0
        digits = max(1 - int(np.floor(np.log10(self.standard_error / scale))), 0)
        text = f"{self.value / scale:.{digits}f} ± {self.standard_error / scale:.{digits}f}"
        return text if scale == 1 else f"({text}) × 10{_raised(power)}"


def in_powers(value: float) -> str:
    """A number with two digits, ``"0.17"`` or ``"6.8 × 10⁻⁹"``."""
    digits, _, power = f"{float(f'{value:.2g}'):g}".partition("e")
    return f"{digits} × 10{_raised(int(power))}" if power else digits


def _raised(power: int) -> str:
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


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
