"""Equations of state of many crystals against those of a reference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.errors import EquationOfStateError, StructureError
from torch_gptff.record import Record
from torch_gptff.report import Column, Table
from torch_gptff.workflows.eos.curve import scale_volume
from torch_gptff.workflows.eos.fit import EquationOfStateFit, fit_equation_of_state
from torch_gptff.workflows.eos.reference import ReferenceCrystal
from torch_gptff.workflows.evaluate_many import evaluate_many

REFERENCE_RATIOS = tuple(np.linspace(0.94, 1.06, 7).tolist())
"""The volumes of the ACWF verification, in units of that of least energy."""

BRACKET = (0.7, 1.4)
"""Volumes between which a minimum is looked for, and counts as found."""

BRACKET_RATIOS = tuple(np.linspace(*BRACKET, 29).tolist())
"""Volumes of the curve, in units of the reference's volume of least energy."""


def percent(share: float | None) -> float | None:
    """A share in per cent; ``None`` for ``None``."""
    return None if share is None else 100 * share


@dataclass(frozen=True)
class EquationOfStateComparison(Record):
    """The equation of state of one crystal, by a model and by a reference. Volumes and energies are of the cell.

    Attributes:
        name: of the crystal in its set
        prototype: its structure
        atoms: at the reference's volume of least energy
        reference_bulk_modulus: GPa
        reference_bulk_modulus_derivative: without unit
        volumes: of the curve, Å³: from 0.7 to 1.4 times the reference's volume of least energy, ``[K]``
        energies: of the curve, eV, ``[K]``
        fit: Birch and Murnaghan's equation through the energies at the reference's seven volumes, 0.94 to 1.06 times
            that of least energy; its minimum may be extrapolated
        own_fit: the same through seven volumes about the model's own minimum, that nearest to the reference
        problem: why there is no ``fit``
    """

    units: ClassVar[dict[str, str]] = {"volumes": "Å³", "energies": "eV", "reference_bulk_modulus": "GPa"}
    derived: ClassVar[tuple[str, ...]] = ("reference_volume", "found", "volume_error", "bulk_modulus_error")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("V₀, known", "Å³/atom", 3, lambda each: each.reference_volume / len(each.atoms)),
        Column("V₀", "Å³/atom", 3, lambda each: None if each.fit is None else each.fit.volume / len(each.atoms)),
        Column("error", "%", 2, lambda each: percent(each.volume_error)),
        Column("B₀, known", "GPa", 1, lambda each: each.reference_bulk_modulus),
        Column("B₀", "GPa", 1, lambda each: None if each.fit is None else each.fit.bulk_modulus),
        Column("own minimum", "% off", 2, lambda each: percent(each.own_volume_error)),
        Column("remark", value=lambda each: "" if each.found else each.problem or "no minimum within the bracket"),
    )

    name: str
    prototype: str
    atoms: Atoms
    reference_bulk_modulus: float
    reference_bulk_modulus_derivative: float
    volumes: NDArray[np.float64]
    energies: NDArray[np.float64]
    fit: EquationOfStateFit | None
    own_fit: EquationOfStateFit | None
    problem: str | None

    @property
    def reference_volume(self) -> float:
        """Å³."""
        return float(self.atoms.get_volume())

    @property
    def computed(self) -> bool:
        """Whether the model gave energies at all."""
        return len(self.energies) > 0

    @property
    def found(self) -> bool:
        """Whether ``fit`` has a minimum within :data:`BRACKET`."""
        return self.fit is not None and BRACKET[0] < self.fit.volume / self.reference_volume < BRACKET[1]

    @property
    def volume_error(self) -> float | None:
        """Relative, of the volume of least energy; ``None`` where none was found."""
        return self.fit.volume / self.reference_volume - 1 if self.found and self.fit is not None else None

    @property
    def own_volume_error(self) -> float | None:
        """Relative error of the volume at the model's own minimum; ``None`` without one."""
        return None if self.own_fit is None else self.own_fit.volume / self.reference_volume - 1

    @property
    def bulk_modulus_error(self) -> float | None:
        """Relative; ``None`` where no minimum was found."""
        return self.fit.bulk_modulus / self.reference_bulk_modulus - 1 if self.found and self.fit is not None else None


@dataclass(frozen=True)
class EquationOfStateBenchmark(Record):
    """Equations of state of many crystals by a model, beside those of a reference.

    Attributes:
        set_name: of the crystals
        comparisons: one for each crystal
    """

    derived: ClassVar[tuple[str, ...]] = (
        *("n_computed", "n_failed", "median_volume_error", "volume_r2", "median_bulk_modulus_error", "n_bracketed"),
        *("n_doubtful", "by_prototype"),
    )

    set_name: str
    comparisons: tuple[EquationOfStateComparison, ...]

    @cached_property
    def computed(self) -> tuple[EquationOfStateComparison, ...]:
        """Crystals whose elements the model knows."""
        return tuple(each for each in self.comparisons if each.computed)

    @cached_property
    def found(self) -> tuple[EquationOfStateComparison, ...]:
        """Crystals with a minimum: see :attr:`EquationOfStateComparison.found`."""
        return tuple(each for each in self.computed if each.found)

    @property
    def n_computed(self) -> int:
        return len(self.computed)

    @property
    def n_failed(self) -> int:
        """Crystals that were computed, and have no minimum between 0.7 and 1.4 times the reference's volume."""
        return len(self.computed) - len(self.found)

    @property
    def doubtful(self) -> tuple[EquationOfStateComparison, ...]:
        """Crystals whose fit has constants that no solid has: see :attr:`EquationOfStateFit.doubt`."""
        return tuple(each for each in self.found if each.fit is not None and each.fit.doubt is not None)

    @property
    def n_doubtful(self) -> int:
        return len(self.doubtful)

    @property
    def n_bracketed(self) -> int:
        """Crystals whose curve has a minimum in the bracket, whatever the fit at the reference's volumes says."""
        return sum(each.own_fit is not None for each in self.computed)

    @property
    def median_volume_error(self) -> float | None:
        """Median of the relative errors by magnitude, of those found."""
        return _median([each.volume_error for each in self.found])

    @property
    def median_bulk_modulus_error(self) -> float | None:
        """Median of the relative errors by magnitude, of those found."""
        return _median([each.bulk_modulus_error for each in self.found])

    @property
    def volume_r2(self) -> float | None:
        """Coefficient of determination of the volumes per atom, of those found."""
        if len(self.found) < 2:
            return None
        known, predicted = self.volumes_per_atom
        spread = float(((known - known.mean()) ** 2).sum())
        return 1 - float(((predicted - known) ** 2).sum()) / spread if spread > 0 else None

    @property
    def volumes_per_atom(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Volumes per atom of the reference and of the model, for crystals with a minimum, Å³."""
        sizes = [len(each.atoms) for each in self.found]
        known = np.array([each.reference_volume for each in self.found])
        predicted = np.array([each.fit.volume for each in self.found if each.fit is not None])
        return known / sizes, predicted / sizes

    def prototype_table(self) -> Table:
        """A table of the errors for each structure type, and for all crystals together."""
        columns = (
            Column("structure"),
            Column("crystals"),
            Column("failed"),
            Column("median error of V₀", "%", 2),
            Column("R² of V₀", "", 3),
            Column("median error of B₀", "%", 1),
        )
        rows = [
            [
                name,
                errors["n_computed"],
                errors["n_failed"],
                percent(errors["median_volume_error"]),
                errors["volume_r2"],
                percent(errors["median_bulk_modulus_error"]),
            ]
            for name, errors in {**self.by_prototype, "all": self._errors()}.items()
        ]
        return Table(columns, rows)

    @property
    def by_prototype(self) -> dict[str, dict[str, Any]]:
        """Errors for each structure type by itself."""
        prototypes = dict.fromkeys(each.prototype for each in self.comparisons)
        return {
            prototype: EquationOfStateBenchmark(
                self.set_name, tuple(each for each in self.comparisons if each.prototype == prototype)
            )._errors()
            for prototype in prototypes
        }

    def _errors(self) -> dict[str, Any]:
        names = ("n_computed", "n_failed", "median_volume_error", "volume_r2", "median_bulk_modulus_error")
        return {name: getattr(self, name) for name in names}


def compare_equation_of_state(crystal: ReferenceCrystal, calculator: Any) -> EquationOfStateComparison:
    """The equation of state of a crystal beside its reference. A crystal that the model refuses has no energies.

    Args:
        crystal: the reference
        calculator: any ASE calculator, or a :class:`~torch_gptff.Potential`, which takes all volumes at once
    """
    atoms = crystal.atoms
    constants = (atoms, crystal.bulk_modulus, crystal.bulk_modulus_derivative)
    try:
        energies = _energies(atoms, (*REFERENCE_RATIOS, *BRACKET_RATIOS), calculator)
    except StructureError as error:
        nothing = np.empty(0)
        return EquationOfStateComparison(
            crystal.name, crystal.prototype, *constants, nothing, nothing, None, None, str(error)
        )
    at_reference, curve = energies[: len(REFERENCE_RATIOS)], energies[len(REFERENCE_RATIOS) :]
    fit, problem = None, None
    try:
        fit = fit_equation_of_state(np.array(REFERENCE_RATIOS) * atoms.get_volume(), at_reference)
    except EquationOfStateError as error:
        problem = str(error)
    volumes = np.array(BRACKET_RATIOS) * atoms.get_volume()
    own_fit = _own_fit(atoms, curve, calculator)
    return EquationOfStateComparison(crystal.name, crystal.prototype, *constants, volumes, curve, fit, own_fit, problem)


def _own_fit(atoms: Atoms, curve: NDArray[np.float64], calculator: Any) -> EquationOfStateFit | None:
    """Fit around the minimum of the curve that is nearest to the reference; ``None`` without a minimum."""
    inner = np.arange(1, len(curve) - 1)
    minima = inner[(curve[inner] < curve[inner - 1]) & (curve[inner] < curve[inner + 1])]
    if not len(minima):
        return None
    ratios = np.array(BRACKET_RATIOS)
    k = int(minima[np.argmin(np.abs(ratios[minima] - 1))])
    # the lowest point of the parabola through three
    a, b, _ = np.polyfit(ratios[k - 1 : k + 2] - ratios[k], curve[k - 1 : k + 2] - curve[k], 2)
    centre = float(ratios[k] - b / (2 * a))
    about = tuple(centre * ratio for ratio in REFERENCE_RATIOS)
    try:
        fit = fit_equation_of_state(np.array(about) * atoms.get_volume(), _energies(atoms, about, calculator))
    except EquationOfStateError:
        return None
    return fit if about[0] < fit.volume / atoms.get_volume() < about[-1] else None


def _energies(atoms: Atoms, ratios: tuple[float, ...], calculator: Any) -> NDArray[np.float64]:
    scaled = [scale_volume(atoms, ratio) for ratio in ratios]
    evaluated = evaluate_many(scaled, calculator, forces=False, stress=False, warn=False)
    energies = np.array([each.energy for each in evaluated])
    if not np.isfinite(energies).all():
        raise StructureError(f"the energy at {ratios[int(np.argmin(np.isfinite(energies)))]:.3f} V0 is not finite")
    return energies


def _median(errors: list[float | None]) -> float | None:
    known = [abs(error) for error in errors if error is not None]
    return float(np.median(known)) if known else None
