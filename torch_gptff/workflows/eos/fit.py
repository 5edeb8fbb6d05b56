"""Equations of state: what is fitted to energies of several volumes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ase.eos import birchmurnaghan, murnaghan, pouriertarantola, vinet
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeWarning, curve_fit

from torch_gptff.errors import EquationOfStateError
from torch_gptff.record import Record
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

FORMS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "birch-murnaghan": birchmurnaghan,
    "vinet": vinet,
    "murnaghan": murnaghan,
    "poirier-tarantola": pouriertarantola,
}
"""ASE's equations of state by name: energy as a function of volume, E0, B0, B0′ and V0."""


POSSIBLE_DERIVATIVES = (1.0, 10.0)
"""B0′ of solids lies between these: of nearly all between 3 and 7."""


@dataclass(frozen=True)
class EquationOfStateFit(Record):
    """An equation of state, and how well the energies lie on it.

    Attributes:
        form: a name in :data:`FORMS`
        volume: of least energy, of the cell, Å³
        energy: there, of the cell, eV
        bulk_modulus: there, GPa
        bulk_modulus_derivative: by pressure, there
        residual: root mean square distance of the energies, of the cell, eV
    """

    units: ClassVar[dict[str, str]] = {"volume": "Å³", "energy": "eV", "bulk_modulus": "GPa", "residual": "eV"}

    form: str
    volume: float
    energy: float
    bulk_modulus: float
    bulk_modulus_derivative: float
    residual: float

    @property
    def doubt(self) -> str | None:
        """Why the constants cannot be those of a solid; ``None`` where they can."""
        low, high = POSSIBLE_DERIVATIVES
        if self.bulk_modulus <= 0:
            return f"B₀ is {self.bulk_modulus:.3g} GPa, and a solid at rest resists compression"
        if not low <= self.bulk_modulus_derivative <= high:
            return f"B₀′ is {self.bulk_modulus_derivative:.2f}, and that of solids lies between {low:g} and {high:g}"
        return None

    def energies(self, volumes: ArrayLike) -> NDArray[np.float64]:
        """Energies at volumes of the cell in Å³, eV, of the same shape."""
        modulus = self.bulk_modulus / GPA_PER_EV_PER_ANGSTROM3
        return FORMS[self.form](
            np.asarray(volumes, dtype=np.float64), self.energy, modulus, self.bulk_modulus_derivative, self.volume
        )


def fit_equation_of_state(volumes: ArrayLike, energies: ArrayLike, form: str = "birch-murnaghan") -> EquationOfStateFit:
    r"""The equation of state nearest to energies, in the sense of least squares.

    Birch and Murnaghan's is a polynomial of third degree in :math:`x = V^{-2/3}`, whose best one is found exactly, as
    by `Lejaeghere et al., Crit. Rev. Solid State Mater. Sci. 39, 1 (2014)
    <https://doi.org/10.1080/10408436.2013.772503>`_. The others are fitted from there.

    The minimum may lie beyond the volumes.

    Args:
        volumes: of the cell, Å³, at least five, ``[K]``
        energies: of the cell, eV, ``[K]``
        form: a name in :data:`FORMS`

    Raises:
        EquationOfStateError: no such form; too few volumes; an energy that is not finite; or no equation of this form
            with a minimum fits.
    """
    if form not in FORMS:
        raise EquationOfStateError(f"no equation of state {form!r}; there are {', '.join(FORMS)}")
    v, e = np.asarray(volumes, dtype=np.float64), np.asarray(energies, dtype=np.float64)
    if len(np.unique(v)) < 5:
        raise EquationOfStateError(f"{len(np.unique(v))} volumes do not fix the four numbers of a fit: give at least 5")
    if not np.isfinite(e).all():
        raise EquationOfStateError(f"the energy at {v[~np.isfinite(e)][0]:.2f} Å³ is not finite")
    zero = float(e.min())  # a fit to small numbers keeps their digits
    parameters = _birch_murnaghan(v, e - zero)
    if form != "birch-murnaghan":
        parameters = _refined(FORMS[form], v, e - zero, parameters)
    e0, b0, b0_prime, v0 = (float(value) for value in parameters)
    residual = float(np.sqrt(np.mean((FORMS[form](v, *parameters) - (e - zero)) ** 2)))
    return EquationOfStateFit(form, v0, e0 + zero, b0 * GPA_PER_EV_PER_ANGSTROM3, b0_prime, residual)


def _birch_murnaghan(v: NDArray[np.float64], e: NDArray[np.float64]) -> NDArray[np.float64]:
    """E0, B0 (eV/Å³), B0′ and V0 of the best polynomial of third degree in ``x = V^(-2/3)``.

    With its derivatives at the minimum, :math:`B_0 = V E'' = (4/9) V^{-7/3} P''` and
    :math:`B_0' = -1 - V^2 E''' / B_0`, where :math:`E''' = -(20/9) V^{-13/3} P'' - (8/27) V^{-5} P'''`.
    """
    x = v ** (-2 / 3)
    # Scaled, so that the equations are well conditioned.
    scale = float(x.mean())
    polynomial = np.polynomial.Polynomial.fit(x / scale, e, 3).convert()
    # Of the two places where the slope c + b u + a u² is zero, the one where the curvature is positive; written so that
    # it is exact where a is zero, as for B0′ = 4.
    c, b, a = np.pad(polynomial.deriv().coef, (0, 3))[:3]  # highest terms that vanish are left out
    root = np.sqrt(b * b - 4 * a * c) if b * b > 4 * a * c else 0.0
    u = (root - b) / (2 * a) if b < 0 else -2 * c / (b + root) if root > 0 else 0.0
    if root == 0 or u <= 0:
        raise EquationOfStateError("the energies have no minimum: no equation of state fits")
    v0 = (u * scale) ** (-3 / 2)
    second, third = float(root) / scale**2, float(polynomial.deriv(3)(u)) / scale**3
    b0 = 4 / 9 * v0 ** (-7 / 3) * second
    b0_prime = -1 + v0**2 * (20 / 9 * v0 ** (-13 / 3) * second + 8 / 27 * v0**-5 * third) / b0
    return np.array([float(polynomial(u)), b0, b0_prime, v0])


def _refined(function: Any, v: NDArray[np.float64], e: NDArray[np.float64], start: NDArray[np.float64]) -> Any:
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", OptimizeWarning)
            parameters, _ = curve_fit(function, v, e, p0=start, maxfev=10_000)
    except (RuntimeError, ValueError) as error:
        raise EquationOfStateError(f"no equation of state of this form fits: {error}") from error
    if not (np.isfinite(parameters).all() and parameters[1] > 0 and parameters[3] > 0):
        raise EquationOfStateError("the energies have no minimum: no equation of state of this form fits")
    return parameters
