"""The Lennard-Jones potential of ASE, and calculators that differ from it in one fault each."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones


def soft_spheres() -> LennardJones:
    return LennardJones(sigma=1.6, epsilon=0.1, rc=5.0, smooth=True)


class Wrapped(Calculator):
    """The Lennard-Jones potential, changed by :meth:`spoil`."""

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "energies", "forces", "stress"]

    def __init__(self) -> None:
        super().__init__()
        self.inner = soft_spheres()

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        self.prepare(self.atoms)
        self.inner.calculate(self.atoms, properties, all_changes)
        self.results = {name: self.inner.results[name] for name in self.implemented_properties}
        self.spoil()

    def prepare(self, atoms: Atoms) -> None:
        pass

    def spoil(self) -> None:
        pass


class StressInGPa(Wrapped):
    def spoil(self) -> None:
        self.results["stress"] = self.results["stress"] * 160.21766208


class StressInAnotherOrder(Wrapped):
    """xx, yy, zz, xy, yz, xz, as VASP prints it."""

    def spoil(self) -> None:
        self.results["stress"] = self.results["stress"][[0, 1, 2, 5, 3, 4]]


class ForcesOfTheWrongSign(Wrapped):
    def spoil(self) -> None:
        self.results["forces"] = -self.results["forces"]


class IgnoresPBC(Wrapped):
    def prepare(self, atoms: Atoms) -> None:
        atoms.pbc = atoms.cell.rank == 3


class EnergiesThatDoNotSum(Wrapped):
    def spoil(self) -> None:
        self.results["energies"] = self.results["energies"] * 1.01


class KeepsItsForces(Wrapped):
    """Forces kept while atoms have moved only a little."""

    kept: tuple[np.ndarray, np.ndarray] | None = None

    def spoil(self) -> None:
        positions = self.atoms.positions
        if self.kept is None or self.kept[0].shape != positions.shape or np.abs(self.kept[0] - positions).max() > 0.1:
            self.kept = positions.copy(), self.results["forces"]
        self.results["forces"] = self.kept[1]


class LooksAtPositionsAlone(Wrapped):
    """Results kept while the cell, the elements or the periodic directions change."""

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        return [change for change in super().check_state(atoms, tol) if change == "positions"]


class SharesItsForces(Wrapped):
    """One array for all forces that it ever gives."""

    buffer = np.zeros((100, 3))

    def get_property(self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True) -> Any:
        found = super().get_property(name, atoms, allow_calculation)
        if name != "forces":
            return found
        self.buffer[: len(found)] = found
        return self.buffer[: len(found)]


class MovesTheAtoms(Wrapped):
    """Atoms carried by a whole cell vector, which changes no result."""

    def get_property(self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True) -> Any:
        found = super().get_property(name, atoms, allow_calculation)
        if atoms is not None:
            atoms.positions += atoms.cell.array[0]
        return found
