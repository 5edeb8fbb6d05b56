"""Equations of state: the energy of a crystal as a function of its volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.errors import EmptyStructureError, EquationOfStateError, MissingCellError
from torch_gptff.workflows.energies import energies_of
from torch_gptff.workflows.eos_fit import FORMS, EquationOfStateFit, fit_equation_of_state
from torch_gptff.workflows.inputs import as_inputs
from torch_gptff.workflows.network import require_crystal
from torch_gptff.workflows.record import Record
from torch_gptff.workflows.relax import relax

DEFAULT_RATIOS = tuple(np.linspace(0.94, 1.06, 13).tolist())


@dataclass(frozen=True)
class EquationOfState(Record):
    """Energies of a crystal at several volumes, and the equations of state that fit them.

    Attributes:
        atoms: the structure given
        volumes: of the cell, Å³, ascending, ``[K]``
        energies: of the cell, eV, ``[K]``
        relaxed: whether the atoms relaxed at every volume
        n_unconverged: volumes at which they did not reach the force that was asked for
        fits: one for each form, the form asked for first; empty where there is no minimum
        problem: why there is no fit, or which forms do not fit; ``None`` where all is well
    """

    units: ClassVar[dict[str, str]] = {"volumes": "Å³", "energies": "eV"}

    atoms: Atoms
    volumes: NDArray[np.float64]
    energies: NDArray[np.float64]
    relaxed: bool
    n_unconverged: int
    fits: tuple[EquationOfStateFit, ...]
    problem: str | None

    @property
    def fit(self) -> EquationOfStateFit:
        """That of the form asked for.

        Raises:
            EquationOfStateError: there is none.
        """
        if not self.fits:
            raise EquationOfStateError(self.problem or "nothing was fitted")
        return self.fits[0]


def equation_of_state(
    atoms: Any,
    calculator: Any = None,
    *,
    ratios: Sequence[float] = DEFAULT_RATIOS,
    relax_positions: bool = False,
    fmax: float = 0.01,
    max_steps: int = 500,
    form: str = "birch-murnaghan",
    on_volume: Callable[[int, int], None] | None = None,
) -> EquationOfState:
    """The equation of state of a crystal: its cell is scaled, its shape is kept.

    Energies without a minimum between the smallest and the largest volume are returned without a fit, and
    ``problem`` says why.

    Args:
        atoms: the crystal, of any kind that :func:`~torch_gptff.workflows.relax` takes
        calculator: anything that :func:`~torch_gptff.workflows.relax` takes; by default that of ``atoms``
        ratios: of the volumes to that of ``atoms``, at least five
        relax_positions: relax the atoms at every volume; otherwise they keep their fractional coordinates
        fmax: to which they relax, eV/Å
        max_steps: that a relaxation may take
        form: a name in :data:`~torch_gptff.workflows.eos_fit.FORMS`; the others are fitted, too
        on_volume: called with the number of volumes done and their total, after each that was relaxed and at the end

    Raises:
        EquationOfStateError: no such form, fewer than five volumes, a ratio that is not positive, or an energy that is
            not finite.
        EquationOfStateError: vacuum cuts through the structure.
        MissingCellError: no crystal, periodic in three directions.
        StructureError, RelaxationError: the calculator refuses a structure, or it falls apart.
    """
    atoms, calculator = as_inputs(atoms, calculator, EquationOfStateError)
    _check(atoms, ratios, form)
    require_crystal(atoms, calculator, "an equation of state", EquationOfStateError)
    given = atoms.copy()
    scaled = [scale_volume(given, ratio) for ratio in sorted(ratios)]
    volumes = np.array([each.get_volume() for each in scaled])
    n_unconverged = 0
    if relax_positions:
        energies = np.empty(len(scaled))
        for number, each in enumerate(scaled):
            relaxation = relax(each, calculator, fmax=fmax, fix_cell=True, max_steps=max_steps)
            energies[number] = relaxation.energy
            n_unconverged += not relaxation.converged
            if on_volume is not None:
                on_volume(number + 1, len(scaled))
    else:
        energies = energies_of(scaled, calculator)
        if on_volume is not None:
            on_volume(len(scaled), len(scaled))
    if not np.isfinite(energies).all():
        raise EquationOfStateError(f"the energy at {volumes[~np.isfinite(energies)][0]:.2f} Å³ is not finite")
    fits, problem = _fits(volumes, energies, form)
    return EquationOfState(given, volumes, energies, relax_positions, n_unconverged, fits, problem)


def scale_volume(atoms: Atoms, ratio: float) -> Atoms:
    """A copy with a volume so many times as large, of the same shape and fractional coordinates."""
    scaled = atoms.copy()
    scaled.set_cell(atoms.cell.array * ratio ** (1 / 3), scale_atoms=True)
    return scaled


def _check(atoms: Atoms, ratios: Sequence[float], form: str) -> None:
    if len(atoms) == 0:
        raise EmptyStructureError("the structure has no atoms")
    if not atoms.pbc.all() or atoms.cell.rank < 3:
        raise MissingCellError("an equation of state needs a crystal, periodic along three cell vectors")
    if form not in FORMS:
        raise EquationOfStateError(f"no equation of state {form!r}; there are {', '.join(FORMS)}")
    if len(set(ratios)) < 5 or min(ratios) <= 0:
        raise EquationOfStateError(f"give at least five different positive ratios of volumes, not {list(ratios)}")


def _fits(
    volumes: NDArray[np.float64], energies: NDArray[np.float64], form: str
) -> tuple[tuple[EquationOfStateFit, ...], str | None]:
    """One fit for each form, that asked for first; and what went wrong."""
    low, high = float(volumes[0]), float(volumes[-1])
    least = int(np.argmin(energies))
    if least in (0, len(volumes) - 1):
        end, change = ("smallest", "smaller") if least == 0 else ("largest", "larger")
        return (), (
            f"no minimum in range: the energy is least at the {end} volume, {volumes[least]:.2f} Å³; relax the "
            f"structure first, or take {change} volumes"
        )
    fits, problems = [], []
    for name in (form, *(other for other in FORMS if other != form)):
        try:
            fit = fit_equation_of_state(volumes, energies, name)
            if not low < fit.volume < high:
                raise EquationOfStateError(f"its minimum, {fit.volume:.2f} Å³, is out of range")
            fits.append(fit)
        except EquationOfStateError as error:
            problems.append(f"{name}: {error}")
            if name == form:
                return (), problems[0]
    return tuple(fits), "; ".join(problems) or None
