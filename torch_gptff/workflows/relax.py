"""Relaxation: the positions, and the cell, of least energy near a structure."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.filters import FrechetCellFilter
from ase.io.trajectory import Trajectory
from ase.optimize import BFGS, FIRE, LBFGS

from torch_gptff.errors import EmptyStructureError, MissingCellError, RelaxationError, StructureError
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

OPTIMIZERS = {"FIRE": FIRE, "LBFGS": LBFGS, "BFGS": BFGS}
"""ASE's optimisers by name. FIRE is the one that bears a rough energy surface; the others need fewer steps on a smooth
one."""


@dataclass(frozen=True)
class RelaxationStep:
    """Where a relaxation stands.

    Attributes:
        number: of steps taken
        energy: eV
        fmax: the largest force on an atom, constraints applied, eV/Å
        max_stress: the largest component of the stress between periodic directions, by magnitude, eV/Å³; ``None`` for
            a structure without periods or volume, or a calculator without stress
    """

    number: int
    energy: float
    fmax: float
    max_stress: float | None


@dataclass(frozen=True)
class Relaxation:
    """A relaxation that has ended, converged or not.

    Attributes:
        initial: the structure given, with its energy, forces and stress
        final: the structure reached, with its energy, forces and stress
        energy: of ``final``, eV
        fmax: the largest force on an atom of ``final``, constraints applied, eV/Å
        max_stress: of ``final``, eV/Å³, see :class:`RelaxationStep`
        n_steps: steps taken
        converged: whether force, and stress where the cell was free, fell to what was asked for
    """

    initial: Atoms
    final: Atoms
    energy: float
    fmax: float
    max_stress: float | None
    n_steps: int
    converged: bool


def relax(
    atoms: Atoms,
    calculator: Any = None,
    *,
    fmax: float = 0.05,
    smax: float = 0.1 / GPA_PER_EV_PER_ANGSTROM3,
    fix_cell: bool = False,
    optimizer: str = "FIRE",
    max_steps: int = 500,
    trajectory: str | Path | None = None,
    on_step: Callable[[RelaxationStep], None] | None = None,
) -> Relaxation:
    """Relax a copy of a structure; ``atoms`` itself is left as it is.

    Where there are periods, the cell relaxes with the positions (ASE's ``FrechetCellFilter``): freely in a crystal,
    within its plane or along its line in a slab or wire, whose open directions are kept. Constraints of ``atoms`` are
    obeyed.

    Args:
        atoms: the structure
        calculator: any ASE calculator; by default that of ``atoms``
        fmax: converged where no atom feels a larger force, eV/Å
        smax: and, where the cell is free, no component of the stress is larger, eV/Å³ (0.1 GPa by default). A bound
            on forces alone says nothing of the stress of a crystal whose atoms stand on symmetric sites
        fix_cell: relax the positions alone
        optimizer: a name in :data:`OPTIMIZERS`
        max_steps: give up after so many
        trajectory: a file for ASE's ``Trajectory``, one frame a step, written as the run goes
        on_step: called at the start and after every step

    Raises:
        RelaxationError: there is nothing to relax with, or energy, forces or stress ceased to be finite, or the
            structure fell apart.
        StructureError: the calculator refuses the structure as it was given.
    """
    if optimizer not in OPTIMIZERS:
        raise RelaxationError(f"no optimizer {optimizer!r}; there are {', '.join(OPTIMIZERS)}")
    if len(atoms) == 0:
        raise EmptyStructureError("the structure has no atoms")
    moving = atoms.copy()
    moving.calc = calculator if calculator is not None else atoms.calc
    if moving.calc is None:
        raise RelaxationError("nothing gives forces: pass a calculator, or set atoms.calc")
    free_cell = bool(atoms.pbc.any()) and not fix_cell
    if free_cell:
        _check_cell(moving)
    target = _CellFilter(moving, mask=_along_periods(moving)) if free_cell else moving

    step = _look(moving, 0, free_cell)
    initial = _with_results(moving)
    converged = False
    try:
        with _recorder(trajectory, moving) as frames, OPTIMIZERS[optimizer](target, logfile=None) as dynamics:
            if frames is not None:
                dynamics.attach(frames.write)
            # Nothing is below fmax=0: the criterion is the one here.
            for _ in dynamics.irun(fmax=0.0, steps=max_steps):
                step = _look(moving, dynamics.nsteps, free_cell)
                if on_step is not None:
                    on_step(step)
                converged = step.fmax <= fmax and (not free_cell or (step.max_stress or 0.0) <= smax)
                if converged:
                    break
    except StructureError as error:
        raise RelaxationError(f"the structure fell apart after step {step.number}: {error}") from error
    return Relaxation(
        initial=initial,
        final=_with_results(moving),
        energy=step.energy,
        fmax=step.fmax,
        max_stress=step.max_stress,
        n_steps=step.number,
        converged=converged,
    )


class _CellFilter(FrechetCellFilter):
    """ASE's filter, remembering its forces: an optimiser asks for them three times a step, and the derivatives of
    matrix logarithms in them take longer than the step of a small model."""

    _state: np.ndarray | None = None
    _forces: np.ndarray

    def get_forces(self, **kwargs: Any) -> np.ndarray:
        state = np.vstack([self.atoms.positions, self.atoms.cell])
        if self._state is None or not np.array_equal(state, self._state):
            self._state, self._forces = state, super().get_forces(**kwargs)
        return self._forces.copy()


def _look(atoms: Atoms, number: int, free_cell: bool) -> RelaxationStep:
    energy = float(atoms.get_potential_energy())
    fmax = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
    stress = _stress(atoms)
    if stress is None and free_cell:
        raise RelaxationError(f"{type(atoms.calc).__name__} gives no stress to relax the cell by: fix the cell")
    max_stress = None if stress is None else float(np.abs(stress[_along_periods(atoms)]).max())
    for name, value in (("energy", energy), ("largest force", fmax), ("largest stress", max_stress)):
        if value is not None and not np.isfinite(value):
            when = "at the start: look at the structure" if number == 0 else f"after step {number}: the run exploded"
            raise RelaxationError(f"the {name} is {value} {when}")
    return RelaxationStep(number, energy, fmax, max_stress)


def _stress(atoms: Atoms) -> np.ndarray | None:
    """eV/Å³, ``[3, 3]``; ``None`` where there is none."""
    if not atoms.pbc.any() or atoms.cell.rank < 3:
        return None
    try:
        return np.asarray(atoms.get_stress(voigt=False))
    except NotImplementedError:
        return None


def _check_cell(atoms: Atoms) -> None:
    """Refuse a cell that cannot relax.

    Raises:
        MissingCellError: it has less than three vectors.
        RelaxationError: the periods of a slab or wire do not lie along Cartesian axes.
    """
    if atoms.cell.rank < 3:
        raise MissingCellError(
            "a cell relaxes where it has three vectors: give the open directions a length of vacuum, or fix the cell"
        )
    if _along_periods(atoms).sum() != atoms.pbc.sum() ** 2:
        raise RelaxationError(
            "the periodic cell vectors of a slab must lie in a Cartesian plane, and that of a wire on an axis, for the "
            "cell to relax: rotate the structure, or fix the cell"
        )


def _along_periods(atoms: Atoms) -> np.ndarray:
    """The Cartesian components of strain or stress that belong to the directions of the periods, bool, ``[3, 3]``."""
    reached = (np.abs(atoms.cell.array[atoms.pbc]) > 1e-6).any(axis=0)
    return np.outer(reached, reached)


def _with_results(atoms: Atoms) -> Atoms:
    """A copy that keeps energy, forces and stress without the calculator."""
    copy = atoms.copy()
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(apply_constraint=False)}
    if _stress(atoms) is not None:
        results["stress"] = atoms.get_stress(apply_constraint=False)
    copy.calc = SinglePointCalculator(copy, **results)
    return copy


def _recorder(path: str | Path | None, atoms: Atoms) -> AbstractContextManager[Any]:
    if path is None:
        return nullcontext()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return closing(Trajectory(str(path), "w", atoms))
