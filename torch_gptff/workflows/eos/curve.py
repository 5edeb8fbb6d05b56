"""Equations of state: the energy of a crystal as a function of its volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.calculators import potential_of
from torch_gptff.errors import EquationOfStateError, MissingCellError
from torch_gptff.record import FORMULA, Record, uncertainty
from torch_gptff.report import Column
from torch_gptff.report.style import drawn
from torch_gptff.workflows.eos.fit import FORMS, EquationOfStateFit, fit_equation_of_state
from torch_gptff.workflows.evaluate_many import evaluate_many
from torch_gptff.workflows.inputs import as_inputs
from torch_gptff.workflows.network import require_crystal
from torch_gptff.workflows.relax import relax

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
        remarks: what to know before believing the fits
        energy_stds: expected errors of ``energies``, eV, ``[K]``; ``None`` for a calculator that is no committee
    """

    units: ClassVar[dict[str, str]] = {"volumes": "Å³", "energies": "eV", "energy_stds": "eV"}
    columns: ClassVar[tuple[Column, ...]] = (
        FORMULA,
        Column("V₀", "Å³/atom", 3, lambda curve: curve.fit.volume / len(curve.atoms)),
        Column("E₀", "eV/atom", 4, lambda curve: curve.fit.energy / len(curve.atoms)),
        uncertainty(lambda curve: None if curve.energy_std is None else curve.energy_std / len(curve.atoms)),
        Column("B₀", "GPa", 1, lambda curve: curve.fit.bulk_modulus),
        Column("B₀′", "", 2, lambda curve: curve.fit.bulk_modulus_derivative),
        Column("residual", "meV/atom", 3, lambda curve: 1000 * curve.fit.residual / len(curve.atoms)),
    )

    atoms: Atoms
    volumes: NDArray[np.float64]
    energies: NDArray[np.float64]
    relaxed: bool
    n_unconverged: int
    fits: tuple[EquationOfStateFit, ...]
    problem: str | None
    remarks: tuple[str, ...] = ()
    energy_stds: NDArray[np.float64] | None = None

    @property
    def fit(self) -> EquationOfStateFit:
        """The fit of the form asked for.

        Raises:
            EquationOfStateError: there is none.
        """
        if not self.fits:
            raise EquationOfStateError(self.problem or "nothing was fitted")
        return self.fits[0]

    @property
    def energy_std(self) -> float | None:
        """Expected error of the energy at the computed volume of least energy, eV; ``None`` as ``energy_stds``."""
        return None if self.energy_stds is None else float(self.energy_stds[int(np.argmin(self.energies))])

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw energies by volume, with every fit.

        Args:
            axes: of matplotlib to draw on; by default new ones
        """
        from torch_gptff.workflows.drawing.eos import draw_curve

        return drawn(draw_curve, self, axes)


def equation_of_state(
    atoms: Any,
    calculator: Any = None,
    *,
    ratios: Sequence[float] = DEFAULT_RATIOS,
    relax_positions: bool = False,
    fmax: float = 0.01,
    max_steps: int = 500,
    form: str = "birch-murnaghan",
    follow: int = 0,
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
        form: a name in :data:`~torch_gptff.workflows.eos.fit.FORMS`; the others are fitted, too
        follow: how many times the range of volumes may move, to be centred at its end of least energy, where the
            minimum lies outside of it
        on_volume: called with the number of volumes done and their total, after each that was relaxed and at the end,
            for every range of volumes

    Raises:
        EquationOfStateError: no such form, fewer than five volumes, a ratio that is not positive, or an energy that is
            not finite.
        EquationOfStateError: vacuum cuts through the structure.
        MissingCellError: no crystal, periodic in three directions.
        StructureError, RelaxationError: the calculator refuses a structure, or it falls apart.
    """
    atoms, calculator = as_inputs(atoms, calculator, EquationOfStateError)
    require_crystal(atoms, "an equation of state", MissingCellError)
    _check(ratios, form)
    require_crystal(atoms, "an equation of state", EquationOfStateError, calculator)
    given, moved = atoms.copy(), 1.0
    curve = _Curve(given, calculator, relax_positions, fmax, max_steps, on_volume)
    for _ in range(follow + 1):
        volumes, energies, stds, n_unconverged = curve.at([ratio * moved for ratio in sorted(ratios)])
        end = _end_of_least_energy(energies)
        if end is None:
            break
        moved *= sorted(ratios)[end] / float(np.mean(ratios))
    fits, problem = _fits(volumes, energies, form)
    doubt = _doubt(given, calculator, energies, stds)
    remarks = (*doubt, *_told_range(volumes / given.get_volume(), ratios), *_told_doubts(fits))
    return EquationOfState(given, volumes, energies, relax_positions, n_unconverged, fits, problem, remarks, stds)


@dataclass(frozen=True)
class _Curve:
    """A crystal whose cell is scaled, and how."""

    atoms: Atoms
    calculator: Any
    relax_positions: bool
    fmax: float
    max_steps: int
    on_volume: Callable[[int, int], None] | None

    def at(
        self, ratios: Sequence[float]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None, int]:
        """Volumes in Å³, energies and their uncertainties in eV, ``[K]``, and at how many volumes the atoms did not
        converge."""
        scaled = [scale_volume(self.atoms, ratio) for ratio in ratios]
        volumes = np.array([each.get_volume() for each in scaled])
        n_unconverged = 0
        if self.relax_positions:
            energies = np.empty(len(scaled))
            known: list[float] = []
            for number, each in enumerate(scaled):
                relaxation = relax(each, self.calculator, fmax=self.fmax, fix_cell=True, max_steps=self.max_steps)
                energies[number] = relaxation.energy
                if relaxation.energy_std is not None:
                    known.append(relaxation.energy_std)
                n_unconverged += not relaxation.converged
                self._tell(number + 1, len(scaled))
            stds = np.array(known) if known else None
        else:
            evaluated = evaluate_many(scaled, self.calculator, forces=False, stress=False, warn=False)
            energies = np.array([each.energy for each in evaluated])
            errors = [each.energy_std for each in evaluated if each.energy_std is not None]
            stds = np.array(errors) if errors else None
            self._tell(len(scaled), len(scaled))
        if not np.isfinite(energies).all():
            raise EquationOfStateError(f"the energy at {volumes[~np.isfinite(energies)][0]:.2f} Å³ is not finite")
        return volumes, energies, stds, n_unconverged

    def _tell(self, done: int, total: int) -> None:
        if self.on_volume is not None:
            self.on_volume(done, total)


def _end_of_least_energy(energies: NDArray[np.float64]) -> int | None:
    """The first or the last place, where the energy is least there and still falls; ``None`` elsewhere."""
    least = int(np.argmin(energies))
    falls = np.ptp(energies) > 1e-9 * max(1.0, float(np.abs(energies).max()))
    return least if least in (0, len(energies) - 1) and falls else None


def _doubt(atoms: Atoms, calculator: Any, energies: NDArray[np.float64], stds: NDArray[np.float64] | None) -> list[str]:
    """Whether the model knows nothing like the crystal at its volume of least energy."""
    potential = potential_of(calculator)
    if potential is None or stds is None:
        return []
    doubt = potential.doubt(float(stds[int(np.argmin(energies))]), len(atoms))
    return [] if doubt is None else [f"DOUBTFUL: {doubt}"]


def _told_range(used: NDArray[np.float64], ratios: Sequence[float]) -> list[str]:
    if np.isclose(used[0], min(ratios)):
        return []
    asked = f"{min(ratios):g} to {max(ratios):g} times the volume given"
    return [f"the energy has no minimum at {asked}: taken were {used[0]:.3f} to {used[-1]:.3f}"]


def _told_doubts(fits: Sequence[EquationOfStateFit]) -> list[str]:
    """Doubts about the fits: about the form asked for, or about the others."""
    doubtful = [fit for fit in fits if fit.doubt is not None]
    if not doubtful:
        return []
    first, others = doubtful[0], [fit.form for fit in doubtful[1:]]
    likewise = f"; likewise {', '.join(others)}" if others else ""
    return [f"DOUBTFUL: {first.doubt} (the form of {first.form}{likewise})"]


def scale_volume(atoms: Atoms, ratio: float) -> Atoms:
    """A copy with a volume so many times as large, of the same shape and fractional coordinates."""
    scaled = atoms.copy()
    scaled.set_cell(atoms.cell.array * ratio ** (1 / 3), scale_atoms=True)
    return scaled


def _check(ratios: Sequence[float], form: str) -> None:
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
