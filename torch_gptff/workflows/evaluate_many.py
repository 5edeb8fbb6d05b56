"""Energies, forces and stresses of many structures, computed together where the calculator is a model of this package.

This is the one place that tells such calculators from any other ASE calculator, which is given one structure after the
other.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from numpy.typing import NDArray

from torch_gptff.calculators import potential_of
from torch_gptff.errors import UncertainPredictionWarning
from torch_gptff.potential import Potential, Prediction
from torch_gptff.record import FORMULA, Record, uncertainty
from torch_gptff.report import Column
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows.inputs import as_atoms, as_calculator

BATCH = 32
"""Structures that are given to a model together, where progress is shown; it divides them further by their bonds."""


@dataclass(frozen=True)
class EvaluatedStructure(Record):
    """A structure with its energy, and with its forces and stress where they were asked for.

    Attributes:
        atoms: the structure
        energy: eV
        forces: eV/Å, ``[N, 3]``
        stress: eV/Å³, positive = tensile, ``[3, 3]``; ``None`` without periods or volume
        energies: of the atoms, eV, ``[N]``; ``None`` where the calculator has none
        energy_std: expected error of ``energy``, eV; ``None`` for a calculator that is no committee
    """

    units: ClassVar[dict[str, str]] = {
        "energy": "eV",
        "forces": "eV/Å",
        "stress": "eV/Å³",
        "energies": "eV",
        "energy_std": "eV",
    }
    columns: ClassVar[tuple[Column, ...]] = (
        FORMULA,
        Column("atoms", value=lambda each: len(each.atoms)),
        Column("energy", "eV", 4, lambda each: each.energy),
        Column("energy", "eV/atom", 4, lambda each: each.energy / len(each.atoms)),
        uncertainty(lambda each: None if each.energy_std is None else each.energy_std / len(each.atoms)),
        Column("max force", "eV/Å", 4, lambda each: each.max_force),
        Column("pressure", "GPa", 3, lambda each: each.pressure),
    )

    atoms: Atoms
    energy: float
    forces: NDArray[np.float64] | None = None
    stress: NDArray[np.float64] | None = None
    energies: NDArray[np.float64] | None = None
    energy_std: float | None = None

    @property
    def is_finite(self) -> bool:
        """Whether energy and forces are finite numbers."""
        return bool(np.isfinite(self.energy) and (self.forces is None or np.isfinite(self.forces).all()))

    @property
    def max_force(self) -> float | None:
        """Largest force on an atom, eV/Å."""
        return None if self.forces is None else float(np.linalg.norm(self.forces, axis=1).max())

    @property
    def pressure(self) -> float | None:
        """GPa, positive under compression."""
        return None if self.stress is None else float(-self.stress.trace() / 3 * GPA_PER_EV_PER_ANGSTROM3)


def evaluate_many(
    structures: Sequence[Any],
    calculator: Any,
    *,
    forces: bool = True,
    stress: bool = True,
    warn: bool = True,
    on_done: Callable[[int, int], None] | None = None,
) -> list[EvaluatedStructure]:
    """Compute the energy, forces and stress of every structure.

    Args:
        structures: of any kind that :func:`~torch_gptff.workflows.relax` takes; left as they are
        calculator: a :class:`~torch_gptff.Potential` or its calculator, which computes all of them together, many times
            faster for small crystals; or anything else that :func:`~torch_gptff.workflows.relax` takes
        forces: whether to compute forces
        stress: whether to compute the stress, where a structure has periods and a volume
        warn: whether a committee warns of structures that it is uncertain about
        on_done: called with the number of structures that are computed, and of all

    Raises:
        StructureError: the model refuses a structure.
    """
    atoms = [as_atoms(each) for each in structures]
    if not isinstance(calculator, Potential):
        calculator = as_calculator(calculator)
    potential = potential_of(calculator)
    found: list[EvaluatedStructure] = []
    size = 1 if potential is None else BATCH if on_done is not None else max(len(atoms), 1)
    for start in range(0, len(atoms), size):
        group = atoms[start : start + size]
        if potential is None:
            found += [_one(each, calculator, forces, stress) for each in group]
        else:
            with no_doubts(silent=not warn):
                found += _together(group, potential, forces, stress)
        if on_done is not None:
            on_done(len(found), len(atoms))
    return found


@contextmanager
def no_doubts(silent: bool = True) -> Iterator[None]:
    """Keep a committee from warning of each of many structures that are all of one kind."""
    with warnings.catch_warnings():
        if silent:
            warnings.simplefilter("ignore", UncertainPredictionWarning)
        yield


def _together(
    structures: Sequence[Atoms], potential: Potential, forces: bool, stress: bool
) -> Iterator[EvaluatedStructure]:
    model = potential.model
    predictions = potential.predict(
        structures,
        forces=forces,
        stress=stress,
        energies=forces and model.is_atomwise,
        energy_std=model.num_readouts > 1,
    )
    return map(_of_prediction, structures, predictions)


def _of_prediction(atoms: Atoms, prediction: Prediction) -> EvaluatedStructure:
    stress = None if prediction.stress is None or not atoms.pbc.any() else prediction.stress[0]
    if stress is not None and not bool(stress.isfinite().all()):
        stress = None
    return EvaluatedStructure(
        atoms,
        energy=prediction.energy.item(),
        forces=None if prediction.forces is None else prediction.forces.double().numpy(),
        stress=None if stress is None else stress.numpy(),
        energies=None if prediction.energies is None else prediction.energies.numpy(),
        energy_std=None if prediction.energy_std is None else prediction.energy_std.item(),
    )


def _one(atoms: Atoms, calculator: Any, forces: bool, stress: bool) -> EvaluatedStructure:
    alone = atoms.copy()
    alone.set_constraint()
    alone.calc = calculator
    energy = float(alone.get_potential_energy())
    found = np.array(alone.get_forces()) if forces else None
    tensor = None
    if stress and alone.cell.rank == 3 and alone.pbc.any():
        with suppress(PropertyNotImplementedError):
            tensor = alone.get_stress(voigt=False)
    return EvaluatedStructure(atoms, energy, found, tensor)
