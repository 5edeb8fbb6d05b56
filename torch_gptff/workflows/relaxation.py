"""What came of a relaxation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from torch_gptff.record import Record

Self = TypeVar("Self", bound="Relaxation")


@dataclass(frozen=True)
class RelaxationStep:
    """Where a relaxation stands.

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
        remarks: what to know of it
    """

    units: ClassVar[dict[str, str]] = {"energy": "eV", "fmax": "eV/Å", "max_stress": "eV/Å³", "energy_std": "eV"}

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

    @property
    def volume_change(self) -> float | None:
        """By which part the volume of the cell grew; ``None`` without periods or volume."""
        before, after = self.initial.cell.volume, self.final.cell.volume
        return after / before - 1 if self.final.pbc.any() and before > 0 else None

    def to_dict(self) -> dict[str, Any]:
        """As :meth:`Record.to_dict`, with the results of both structures."""
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
