"""Relaxation: the positions, and the cell, of least energy near a structure."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixSymmetry
from ase.io.trajectory import Trajectory
from ase.io.ulm import DummyWriter
from ase.optimize.optimize import Optimizer

from torch_gptff.errors import EmptyStructureError, GPTFFError, MissingCellError, RelaxationError, StructureError
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows.batch.calculators import HeldResults
from torch_gptff.workflows.cell_filter import LONGEST, LONGEST_STRAIN, CellFilter, strain_scale
from torch_gptff.workflows.inputs import as_inputs
from torch_gptff.workflows.network import WORDS, BondNetwork, bond_network, reach_of
from torch_gptff.workflows.optimizers import IS_CELL_AWARE, OPTIMIZERS
from torch_gptff.workflows.relaxation import Relaxation, RelaxationStep


@dataclass(frozen=True)
class RelaxationSettings:
    """Settings of a relaxation: see :func:`relax`."""

    fmax: float = 0.05
    smax: float = 0.1 / GPA_PER_EV_PER_ANGSTROM3
    fix_cell: bool = False
    pressure: float = 0.0
    keep_symmetry: bool = False
    symprec: float = 0.01
    optimizer: str = "LBFGS"
    max_steps: int = 500


def relax(
    atoms: Any,
    calculator: Any = None,
    *,
    fmax: float = 0.05,
    smax: float = 0.1 / GPA_PER_EV_PER_ANGSTROM3,
    fix_cell: bool = False,
    pressure: float = 0.0,
    keep_symmetry: bool = False,
    symprec: float = 0.01,
    optimizer: str = "LBFGS",
    max_steps: int = 500,
    trajectory: str | Path | None = None,
    on_step: Callable[[RelaxationStep], None] | None = None,
) -> Relaxation:
    """Relax a copy of a structure; ``atoms`` itself is left as it is.

    Where there are periods, the cell relaxes with the positions, by the coordinates of ASE's ``FrechetCellFilter``:
    freely in a crystal, within its plane or along its line in a slab or wire. Directions that no bond crosses are kept,
    whether they are periodic or not: there is nothing to relax in vacuum, and how much of it there is does not matter.
    Constraints of ``atoms`` are obeyed.

    Args:
        atoms: the structure: ASE ``Atoms``, pymatgen ``Structure`` or ``Molecule``, or ``CrystalData``
        calculator: any ASE calculator, a :class:`~torch_gptff.Potential`, or the name or path of a model; by default
            the calculator of ``atoms``
        fmax: converged where no atom feels a larger force, eV/Å
        smax: and, where the cell is free, no component of the stress is larger, in eV per Å³ of the volume that atoms
            fill (0.1 GPa by default). A bound on forces alone says nothing of the stress of a crystal whose atoms
            stand on symmetric sites
        fix_cell: relax the positions alone
        pressure: external pressure on a crystal, eV/Å³
        keep_symmetry: keep the space group that the structure has (ASE's ``FixSymmetry``)
        symprec: to which it has it, Å
        optimizer: a name in :data:`OPTIMIZERS`
        max_steps: maximum number of steps
        trajectory: a file for ASE's ``Trajectory``, one frame a step, written as the run goes
        on_step: called at the start and after every step

    Raises:
        GraphError: ``atoms`` is no structure.
        RelaxationError: there is nothing to relax with, or energy, forces or stress ceased to be finite, or the
            structure fell apart; or it is under pressure and no crystal with a free cell, or has no symmetry to keep.
        StructureError: the calculator refuses the structure as it was given.
    """
    atoms, calculator = as_inputs(atoms, calculator, RelaxationError)
    settings = RelaxationSettings(fmax, smax, fix_cell, pressure, keep_symmetry, symprec, optimizer, max_steps)
    run = RelaxationRun(atoms, calculator, settings)
    step = run.look()
    with _recorder(trajectory, run.atoms) as frames:
        while True:
            frames.write()
            if on_step is not None:
                on_step(step)
            if run.is_over:
                return run.result()
            run.advance()
            try:
                step = run.look()
            except RelaxationError:
                if run.atoms.calc.results:  # a step that exploded is recorded, too
                    frames.write()
                raise


class RelaxationRun:
    """A relaxation that is under way: look, and as long as it is not over, advance and look again.

    Args:
        atoms: the structure; a copy is relaxed
        calculator: that of the copy
        settings: how to relax

    Raises:
        RelaxationError, StructureError: see :func:`relax`.
    """

    def __init__(self, atoms: Atoms, calculator: Any, settings: RelaxationSettings) -> None:
        _check(atoms, settings)
        self.atoms = atoms.copy()
        self.atoms.calc = calculator
        self.settings = settings
        self.free_cell = bool(atoms.pbc.any()) and not settings.fix_cell
        if self.free_cell and atoms.cell.rank < 3:
            raise MissingCellError(
                "a cell relaxes where it has three vectors: give the open directions a length of vacuum, or fix it"
            )
        self.reach = calculator.reach if isinstance(calculator, HeldResults) else reach_of(calculator)
        self.network = _network(self.atoms, self.reach)
        if self.network is not None and self.network.dimension == 0:
            self.free_cell = False
        if settings.pressure and self.network is not None and self.network.dimension < 3:
            raise RelaxationError(
                f"pressure acts on a crystal, and this is {WORDS[self.network.dimension]} in vacuum: no bond of up to "
                f"{self.reach:g} Å crosses the cell along some direction; take no pressure"
            )
        if settings.keep_symmetry:
            self.atoms.set_constraint([*self.atoms.constraints, _symmetry(self.atoms, settings.symprec)])
        self._optimizer: Optimizer | None = None
        self._number = 0
        self._step: RelaxationStep | None = None
        self._path: list[RelaxationStep] = []
        self._initial: Atoms | None = None

    @property
    def is_at_start(self) -> bool:
        """Whether no step was taken yet."""
        return self._number == 0

    @property
    def strain_scale(self) -> float:
        """Å, of the strain as a coordinate: the number of atoms, as in ASE's filters, for optimisers that expect no
        other; see :func:`~torch_gptff.workflows.cell_filter.strain_scale`."""
        if self.network is None or self.settings.optimizer not in IS_CELL_AWARE:
            return float(len(self.atoms))
        return strain_scale(self.network.filling * self.atoms.get_volume())

    @property
    def longest_strain(self) -> float:
        """Å, of a step of the cell as a coordinate."""
        return LONGEST_STRAIN * self.strain_scale if self.settings.optimizer in IS_CELL_AWARE else LONGEST

    @property
    def is_over(self) -> bool:
        """Whether it has converged, or taken all its steps."""
        return self.has_converged or self._number >= self.settings.max_steps

    @property
    def has_converged(self) -> bool:
        """Whether force, and stress where the cell is free, are as small as asked for."""
        step, settings = self._step, self.settings
        return step is not None and (
            step.fmax <= settings.fmax and (not self.free_cell or (step.max_stress or 0.0) <= settings.smax)
        )

    def look(self) -> RelaxationStep:
        """Compute forces where it stands."""
        try:
            step = self._look()
        except StructureError as error:
            raise self.refused(error) from error
        return self.note(*step)

    def note(self, energy: float, fmax: float, max_stress: float | None) -> RelaxationStep:
        """Take down what was computed where it stands, and is in the results of the calculator of ``atoms`` at first.

        Raises:
            RelaxationError: it is not finite.
        """
        for name, value in (("energy", energy), ("largest force", fmax), ("largest stress", max_stress)):
            if value is not None and not math.isfinite(value):
                when = (
                    "at the start: look at the structure"
                    if self.is_at_start
                    else f"after step {self._number}: the run exploded"
                )
                raise RelaxationError(f"the {name} is {value} {when}")
        self._step = RelaxationStep(self._number, energy, fmax, max_stress)
        self._path.append(self._step)
        if self._initial is None:
            self._initial = _with_results(self.atoms)
        return self._step

    def refused(self, error: StructureError) -> GPTFFError:
        """What to raise where the calculator refuses the structure: its error at the start, and later what became of
        the run."""
        return error if self.is_at_start else _fell_apart(error, self._number - 1)

    def fell_apart(self, error: Exception) -> RelaxationError:
        """The error to raise where the next step cannot be taken."""
        return _fell_apart(error, self._number)

    def advance(self) -> None:
        """Take a step."""
        if self._optimizer is None:
            self._optimizer = OPTIMIZERS[self.settings.optimizer](self._target(), logfile=None)
        try:
            self._optimizer.step()
        except RuntimeError as error:  # of ASE's FixSymmetry, on a large strain
            raise self.fell_apart(error) from error
        self.count()

    def count(self) -> None:
        """One step more was taken."""
        self._number += 1

    def result(self) -> Relaxation:
        """Record of the relaxation as it stands."""
        assert self._step is not None
        assert self._initial is not None
        final = _with_results(self.atoms)
        if self.settings.keep_symmetry:
            for each in (self._initial, final):
                each.set_constraint([one for one in each.constraints if not isinstance(one, FixSymmetry)])
        changed = self._changed()
        stresses = [step.max_stress for step in self._path]
        return Relaxation(
            initial=self._initial,
            final=final,
            energy=self._step.energy,
            fmax=self._step.fmax,
            max_stress=self._step.max_stress,
            n_steps=self._number,
            converged=self.has_converged and changed is None,
            dimension=None if self.network is None else self.network.dimension,
            energy_std=getattr(self.atoms.calc, "results", {}).get("energy_std"),
            remarks=tuple(remark for remark in (self._kept(), changed) if remark is not None),
            energies=np.array([step.energy for step in self._path]),
            forces=np.array([step.fmax for step in self._path]),
            stresses=None if None in stresses else np.array(stresses, dtype=float),
        )

    def _target(self) -> Any:
        """The object whose coordinates the optimiser moves."""
        if not self.free_cell:
            return self.atoms
        assert self.network is not None
        return CellFilter(self.atoms, self.network.projector, self.settings.pressure, self.strain_scale)

    def _look(self) -> tuple[float, float, float | None]:
        atoms = self.atoms
        energy = float(atoms.get_potential_energy())
        fmax = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
        stress = _stress(atoms)
        if stress is None and self.free_cell:
            raise no_stress(atoms.calc)
        max_stress = None
        if stress is not None and self.network is not None and self.network.dimension > 0:
            beyond = self.network.stress(stress + self.settings.pressure * np.eye(3))
            max_stress = float(np.abs(beyond).max())
        return energy, fmax, max_stress

    def _kept(self) -> str | None:
        """The part of the cell that was not relaxed although it was free, and the reason."""
        if self.network is None or self.settings.fix_cell or self.network.dimension == self.atoms.pbc.sum():
            return None
        kept = "the cell is kept" if self.network.dimension == 0 else "the cell relaxes along its directions alone"
        return f"{WORDS[self.network.dimension]} in vacuum, which no bond of up to {self.reach:g} Å crosses: {kept}"

    def _changed(self) -> str | None:
        """A remark on a change of the dimension of the bond network, or ``None``."""
        if self.network is None or self._number == 0:
            return None
        try:
            now = bond_network(self.atoms, self.reach).dimension
        except StructureError as error:
            return str(error)
        if now == self.network.dimension:
            return None
        what = "came apart" if now < self.network.dimension else "joined across the vacuum"
        return f"the structure {what}: it was {WORDS[self.network.dimension]}, and is {WORDS[now]} now"


def _fell_apart(error: Exception, number: int) -> RelaxationError:
    return RelaxationError(f"the structure fell apart after step {number}: {error}")


def no_stress(calculator: Any) -> RelaxationError:
    """The error to raise for a calculator without stress, where the cell is free."""
    return RelaxationError(f"{type(calculator).__name__} gives no stress to relax the cell by: fix the cell")


def _check(atoms: Atoms, settings: RelaxationSettings) -> None:
    if settings.optimizer not in OPTIMIZERS:
        raise RelaxationError(f"no optimizer {settings.optimizer!r}; there are {', '.join(OPTIMIZERS)}")
    if len(atoms) == 0:
        raise EmptyStructureError("the structure has no atoms")
    if settings.pressure and (settings.fix_cell or not atoms.pbc.all()):
        raise RelaxationError("pressure acts on a crystal whose cell is free: let it relax, or take no pressure")
    if settings.keep_symmetry and not atoms.pbc.all():
        raise RelaxationError("a space group is that of a crystal, periodic along three vectors: do not keep it")


def _symmetry(atoms: Atoms, symprec: float) -> FixSymmetry:
    try:
        return FixSymmetry(atoms, symprec=symprec)
    except Exception as error:  # spglib's own, which depends on its version
        raise RelaxationError(f"no space group is found to a precision of {symprec:g} Å: {error}") from error


def _stress(atoms: Atoms) -> np.ndarray | None:
    """eV/Å³, ``[3, 3]``; ``None`` where there is none."""
    if not atoms.pbc.any() or atoms.cell.rank < 3:
        return None
    try:
        return np.asarray(atoms.get_stress(voigt=False))
    except NotImplementedError:
        return None


def _network(atoms: Atoms, reach: float) -> BondNetwork | None:
    """``None`` without periods or volume."""
    return bond_network(atoms, reach) if atoms.pbc.any() and atoms.cell.rank == 3 else None


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
        return nullcontext(DummyWriter())
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return closing(Trajectory(str(path), "w", atoms))
