"""Record of a relaxation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.typing import NDArray

from torch_gptff.errors import RecordError
from torch_gptff.graph.formula import formula_of
from torch_gptff.record import Record, uncertainty, verdict
from torch_gptff.report import Column
from torch_gptff.report.style import drawn
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Self = TypeVar("Self", bound="Relaxation")


@dataclass(frozen=True)
class RelaxationStep:
    """State of a relaxation after a step.

    Attributes:
        number: of steps taken
        energy: eV
        fmax: the largest force on an atom, constraints applied, eV/Å
        max_stress: the largest component of the stress between the directions that bonds hold together, by magnitude
            and beyond what the pressure from outside asks for, in eV per Å³ of the volume that atoms fill, without the
            vacuum beside a sheet or slab; ``None`` for a structure without periods or volume, one that no bonds hold
            together, or a calculator without stress
    """

    number: int
    energy: float
    fmax: float
    max_stress: float | None


@dataclass(frozen=True)
class Relaxation(Record):
    """A relaxation that has ended, converged or not.

    Attributes:
        initial: the structure given, with its energy, forces and stress
        final: the structure reached, with its energy, forces and stress
        energy: of ``final``, eV
        fmax: the largest force on an atom of ``final``, constraints applied, eV/Å
        max_stress: of ``final``, eV/Å³, see :class:`RelaxationStep`
        n_steps: steps taken
        converged: whether force, and stress where the cell was free, fell to what was asked for, and the structure
            still is what it was: no crystal that came apart, no sheets that joined
        dimension: of the network of bonds at the start, see :class:`~torch_gptff.workflows.network.BondNetwork`: along
            its directions alone the cell relaxes; ``None`` without periods or volume
        energy_std: expected error of ``energy``, eV; ``None`` for a calculator that is no committee
        remarks: warnings about the result
        energies: of the structure given and after every step, eV, ``[S + 1]``; ``None`` in files of older versions
        forces: largest forces likewise, eV/Å, ``[S + 1]``
        stresses: largest stresses likewise, eV/Å³, ``[S + 1]``; ``None`` where there are none
    """

    units: ClassVar[dict[str, str]] = {
        "energy": "eV",
        "fmax": "eV/Å",
        "max_stress": "eV/Å³",
        "energy_std": "eV",
        **{"energies": "eV", "forces": "eV/Å", "stresses": "eV/Å³"},
    }
    columns: ClassVar[tuple[Column, ...]] = (
        Column("formula", value=lambda each: formula_of(each.final)),
        Column("atoms", value=lambda each: len(each.final)),
        Column("energy", "eV/atom", 4, lambda each: each.energy / len(each.final)),
        uncertainty(lambda each: None if each.energy_std is None else each.energy_std / len(each.final)),
        Column("energy gained", "meV/atom", 1, lambda each: 1000 * each.energy_gained / len(each.final), detail=True),
        Column("max force", "eV/Å", 4, lambda each: each.fmax),
        Column("max stress", "GPa", 3, lambda each: each.max_stress_gpa),
        Column("ΔV", "%", 2, lambda each: None if each.volume_change is None else 100 * each.volume_change),
        Column("furthest atom", "Å", 3, lambda each: each.furthest_move, detail=True),
        Column("steps", value=lambda each: each.n_steps),
        Column("conv.", value=lambda each: verdict(each.converged)),
    )

    initial: Atoms
    final: Atoms
    energy: float
    fmax: float
    max_stress: float | None
    n_steps: int
    converged: bool
    dimension: int | None = None
    energy_std: float | None = None
    remarks: tuple[str, ...] = ()
    energies: NDArray[np.float64] | None = None
    forces: NDArray[np.float64] | None = None
    stresses: NDArray[np.float64] | None = None

    @property
    def volume_change(self) -> float | None:
        """Relative change of the volume of the cell; ``None`` without periods or volume."""
        before, after = self.initial.cell.volume, self.final.cell.volume
        return after / before - 1 if self.final.pbc.any() and before > 0 else None

    @property
    def max_stress_gpa(self) -> float | None:
        """``max_stress`` in GPa."""
        return None if self.max_stress is None else self.max_stress * GPA_PER_EV_PER_ANGSTROM3

    @property
    def energy_gained(self) -> float:
        """Energy of ``initial`` minus that of ``final``, eV."""
        return float(self.initial.get_potential_energy()) - self.energy

    @property
    def furthest_move(self) -> float:
        """Largest displacement of an atom, beside the change of the cell and a shift of all atoms, Å."""
        initial, final = self.initial, self.final
        carried = initial.positions
        if initial.cell.rank == 3:
            carried = np.linalg.solve(initial.cell.T, initial.positions.T).T @ final.cell.array
        moves = final.positions - carried
        return float(np.linalg.norm(moves - moves.mean(axis=0), axis=1).max())

    def to_dict(self) -> dict[str, Any]:
        """The record as :meth:`Record.to_dict` gives it, with the results of both structures."""
        document = super().to_dict()
        for name in ("initial", "final"):
            results = getattr(self, name).calc.results
            document[f"{name}_results"] = {key: np.asarray(value).tolist() for key, value in results.items()}
        return document

    @classmethod
    def from_dict(cls: type[Self], document: dict[str, Any]) -> Self:
        """The relaxation that :meth:`to_dict` gave."""
        relaxation = super().from_dict(document)
        for name in ("initial", "final"):
            results = document.get(f"{name}_results") or {}
            arrays = {key: value if key == "energy" else np.array(value) for key, value in results.items()}
            atoms = getattr(relaxation, name)
            atoms.calc = SinglePointCalculator(atoms, **arrays)
        return relaxation

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the energy per atom, from step to step.

        Args:
            axes: of matplotlib to draw on; by default new ones
        """
        from torch_gptff.workflows.drawing.relax import draw_energies

        if self.energies is None:
            raise RecordError("this relaxation is of an older version, which did not keep energies of steps")
        return drawn(draw_energies, self, axes)
