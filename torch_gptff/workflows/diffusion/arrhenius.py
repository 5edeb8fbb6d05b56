"""Activation energies: lines through logarithms of diffusion coefficients or conductivities over 1/T."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from torch_gptff.errors import DiffusionError
from torch_gptff.record import Record
from torch_gptff.units import KELVIN_IN_EV
from torch_gptff.workflows.diffusion.estimate import Estimate, normal

Quantity = Literal["diffusivity", "conductivity"]

MIN_POINTS = 3
"""Smallest number of temperatures in a regime, where two are found automatically."""

EVIDENCE = 6.0
"""By so much must two regimes better the Bayesian information criterion of one (strong evidence: `Kass and Raftery, J.
Am. Stat. Assoc. 90, 773 (1995) <https://doi.org/10.1080/01621459.1995.10476572>`_)."""


@dataclass(frozen=True)
class ArrheniusLine(Record):
    """One regime: ``ln y = intercept − E/(kT)``.

    Attributes:
        activation_energy: E, eV
        intercept: of the line at 1/T = 0
        covariance: of intercept and activation energy, ``[2, 2]``
        temperatures: of the points it was laid through, K
        reduced_chi_squared: of the residuals by the errors of the points: near 1 for a straight line and honest errors;
            above, the errors here are enlarged by its root. ``None`` for two points
    """

    activation_energy: Estimate
    intercept: float
    covariance: NDArray[np.float64]
    temperatures: NDArray[np.float64]
    reduced_chi_squared: float | None


@dataclass(frozen=True)
class ArrheniusFit(Record):
    """Diffusion coefficients (``y = D``) or conductivities (``y = σT``) over temperature.

    Attributes:
        quantity: which
        temperatures: K, ascending, ``[T]``
        values: cm²/s or mS/cm, ``[T]``
        errors: their standard errors, ``[T]``
        left_out: temperatures without a valid value, K
        lines: one or two, by rising temperature
        crossing: the temperature at which two lines meet, K; ``None`` for one line, or where they do not meet between
            the lowest and the highest temperature
        evidence: by how much two regimes better the Bayesian information criterion; ``None`` where there are too few
            points to tell
    """

    units: ClassVar[dict[str, str]] = {"temperatures": "K", "crossing": "K", "activation_energy": "eV"}

    quantity: str
    temperatures: NDArray[np.float64]
    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    left_out: tuple[float, ...]
    lines: tuple[ArrheniusLine, ...]
    crossing: Estimate | None
    evidence: float | None

    def at(self, temperature: float) -> Estimate:
        """The value at another temperature, in the units of ``values``; the interval is that of its logarithm.

        An extrapolation holds as far as the regime does.
        """
        line = self.lines[0 if len(self.lines) == 1 or temperature <= self._border else 1]
        slopes = np.array([1.0, -1 / (KELVIN_IN_EV * temperature)])
        log = line.intercept + slopes[1] * line.activation_energy.value
        spread = normal(float(log), float(np.sqrt(slopes @ line.covariance @ slopes)))
        scale = temperature if self.quantity == "conductivity" else 1.0
        value, low, high = (float(np.exp(each)) / scale for each in (spread.value, spread.low, spread.high))
        return Estimate(value, value * spread.standard_error, low, high)

    @property
    def _border(self) -> float:
        """Temperature between the regimes, K."""
        if self.crossing is not None:
            return self.crossing.value
        return float(self.lines[0].temperatures.max() + self.lines[1].temperatures.min()) / 2


def fit_arrhenius(
    temperatures: ArrayLike,
    estimates: Sequence[Estimate | None],
    quantity: Quantity = "diffusivity",
    regimes: Literal[1, 2] | None = None,
) -> ArrheniusFit:
    """Fit one or two Arrhenius lines, weighted by the errors of the points.

    Two regimes are lines of their own, below and above a temperature; where to divide the points is what fits best. The
    errors of activation energies follow from those of the points, enlarged where the points scatter more than these
    say.

    Args:
        temperatures: K, ``[T]``
        estimates: of D in cm²/s or σ in mS/cm; ``None`` where there is no valid one, which is left out
        quantity: which of the two: conductivities are multiplied by T first
        regimes: 1 or 2; by default two where the evidence is strong and each has three points

    Raises:
        DiffusionError: too few valid points, or two at one temperature alone.
    """
    kelvins = np.asarray(temperatures, dtype=float)
    if len(kelvins) != len(estimates) or (kelvins <= 0).any():
        raise DiffusionError("there is one estimate for each temperature, and temperatures are positive")
    order = np.argsort(kelvins, kind="stable")
    points = [(kelvins[k], estimates[k]) for k in order]
    valid = [(kelvin, each) for kelvin, each in points if each is not None and each.value > 0]
    left_out = tuple(float(kelvin) for kelvin, each in points if each is None or each.value <= 0)
    x = np.array([kelvin for kelvin, _ in valid])
    values = np.array([each.value for _, each in valid])
    errors = np.array([each.standard_error for _, each in valid])
    needed = 2 * (regimes or 1)
    if len(np.unique(x)) < needed:
        raise DiffusionError(
            f"{'two Arrhenius lines need' if regimes == 2 else 'an Arrhenius line needs'} {needed} temperatures with a "
            f"valid estimate; there {'is' if len(np.unique(x)) == 1 else 'are'} {len(np.unique(x))}"
        )
    if (errors <= 0).any():
        raise DiffusionError("an estimate without an error cannot be weighted")
    logs = np.log(values * (x if quantity == "conductivity" else 1.0))
    spreads = errors / values

    single = _line(x, logs, spreads)
    chi_single = _chi_squared(single, x, logs, spreads)
    best = _best_division(x, logs, spreads, MIN_POINTS if regimes is None else 2)
    evidence = None
    lines: tuple[ArrheniusLine, ...] = (single,)
    if best is not None:
        chi_double, pair = best
        evidence = chi_single - chi_double - 3 * float(np.log(len(x)))  # 2 parameters against 4 and the division
        if regimes == 2 or (regimes is None and evidence > EVIDENCE):
            lines = pair
    return ArrheniusFit(
        quantity=quantity,
        temperatures=x,
        values=values,
        errors=errors,
        left_out=left_out,
        lines=lines,
        crossing=_crossing(lines, x),
        evidence=evidence,
    )


def _line(x: NDArray[np.float64], logs: NDArray[np.float64], spreads: NDArray[np.float64]) -> ArrheniusLine:
    terms = np.stack([np.ones_like(x), -1 / (KELVIN_IN_EV * x)], axis=1) / spreads[:, None]
    covariance = np.linalg.inv(terms.T @ terms)
    intercept, energy = covariance @ terms.T @ (logs / spreads)
    freedom = len(x) - 2
    reduced = None
    if freedom:
        reduced = float(((logs / spreads - terms @ np.array([intercept, energy])) ** 2).sum() / freedom)
        covariance = covariance * max(reduced, 1.0)
    return ArrheniusLine(
        activation_energy=normal(float(energy), float(np.sqrt(covariance[1, 1]))),
        intercept=float(intercept),
        covariance=covariance,
        temperatures=x,
        reduced_chi_squared=reduced,
    )


def _chi_squared(
    line: ArrheniusLine, x: NDArray[np.float64], logs: NDArray[np.float64], spreads: NDArray[np.float64]
) -> float:
    expected = line.intercept - line.activation_energy.value / (KELVIN_IN_EV * x)
    return float((((logs - expected) / spreads) ** 2).sum())


def _best_division(
    x: NDArray[np.float64], logs: NDArray[np.float64], spreads: NDArray[np.float64], fewest: int
) -> tuple[float, tuple[ArrheniusLine, ArrheniusLine]] | None:
    """The least χ² of two lines, and these; ``None`` where there are too few points."""
    found: list[tuple[float, tuple[ArrheniusLine, ArrheniusLine]]] = []
    for k in range(fewest, len(x) - fewest + 1):
        parts = (slice(None, k), slice(k, None))
        if x[k - 1] == x[k] or any(len(np.unique(x[part])) < fewest for part in parts):
            continue
        low, high = (_line(x[part], logs[part], spreads[part]) for part in parts)
        chi = sum(
            _chi_squared(line, x[part], logs[part], spreads[part])
            for line, part in zip((low, high), parts, strict=True)
        )
        found.append((chi, (low, high)))
    return min(found, key=lambda pair: pair[0]) if found else None


def _crossing(lines: Sequence[ArrheniusLine], x: NDArray[np.float64]) -> Estimate | None:
    """Temperature where two lines meet: 1/(kT) = (a₂ − a₁)/(E₂ − E₁), its error by linear propagation."""
    if len(lines) == 1:
        return None
    low, high = lines
    rise = high.intercept - low.intercept
    steeper = high.activation_energy.value - low.activation_energy.value
    if steeper == 0 or rise / steeper <= 0:
        return None
    inverse = rise / steeper
    kelvin = 1 / (KELVIN_IN_EV * inverse)
    if not x.min() <= kelvin <= x.max():
        return None
    slopes = np.array([1 / steeper, -rise / steeper**2])
    variance = slopes @ (low.covariance + high.covariance) @ slopes
    return normal(float(kelvin), float(kelvin * np.sqrt(variance) / inverse))
