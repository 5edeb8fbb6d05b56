"""Units: energy eV, length Å, force eV/Å, stress eV/Å³ (positive = tensile), everywhere inside.

Other units and signs are converted where data enter or leave, with the factors of this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

GPA_PER_EV_PER_ANGSTROM3 = 160.21766208
"""1 eV/Å³ in GPa (CODATA 2014, as ASE's ``ase.units.GPa``)."""

KBAR_PER_EV_PER_ANGSTROM3 = 10 * GPA_PER_EV_PER_ANGSTROM3
"""1 eV/Å³ in kbar."""

EV_PER_KJ_PER_MOL = 1 / 96.48533212
"""1 kJ/mol in eV (CODATA 2018)."""

EV_PER_KCAL_PER_MOL = 4.184 * EV_PER_KJ_PER_MOL
"""1 kcal/mol in eV (the thermochemical calorie, 4.184 J)."""

EV_PER_HARTREE = 27.211386245988
"""1 hartree in eV (CODATA 2018)."""

CM2_PER_S_PER_ANGSTROM2_PER_PS = 1e-4
"""1 Å²/ps in cm²/s."""

KELVIN_IN_EV = 8.617333262e-5
"""Boltzmann's constant in eV/K (CODATA 2018)."""

JOULE_PER_EV = ELEMENTARY_CHARGE = 1.602176634e-19
"""1 eV in J, and the charge of a proton in C."""

JOULE_PER_M2_PER_EV_PER_ANGSTROM2 = JOULE_PER_EV * 1e20
"""1 eV/Å² in J/m²."""

VOIGT_ORDER = ("xx", "yy", "zz", "yz", "xz", "xy")
"""The six components as ASE and most textbooks write them."""

VASP_ORDER = ("xx", "yy", "zz", "xy", "yz", "xz")
"""The six components as VASP prints them (``in kB``)."""

StressUnit = Literal["eV/Å³", "GPa", "kbar", "eV"]


@dataclass(frozen=True)
class UnitConvention:
    """Units of energy and stress in a file; forces are in eV/Å everywhere. The default is the units of this package.

    Attributes:
        energy: eV of the whole cell, or eV per atom
        stress_unit: ``"eV"`` for a virial, which is a stress times the volume of its cell
        positive: which stress has positive diagonal components: tension (ASE), or compression (VASP, and virials)
        stress_order: of six components; nine are a tensor. ``None``: the format has no six
    """

    energy: Literal["per cell", "per atom"] = "per cell"
    stress_unit: StressUnit = "eV/Å³"
    positive: Literal["tension", "compression"] = "tension"
    stress_order: tuple[str, ...] | None = VOIGT_ORDER

    def total_energy(self, energy: float, n_atoms: int) -> float:
        """The energy of the cell in eV."""
        return energy * n_atoms if self.energy == "per atom" else energy

    def stress_tensor(self, stress: ArrayLike, volume: float) -> NDArray[np.float64]:
        """The stress in eV/Å³, positive = tensile, ``[3, 3]``.

        Args:
            stress: six components in :attr:`stress_order`, nine or ``[3, 3]``
            volume: of the cell in Å³

        Raises:
            ValueError: another number of components.
        """
        values = np.asarray(stress, dtype=np.float64)
        if values.shape == (6,) and self.stress_order is not None:
            place = [self.stress_order.index(name) for row in _TENSOR for name in row]
            tensor = values[place].reshape(3, 3)
        elif values.shape in ((9,), (3, 3)):
            tensor = values.reshape(3, 3)
        else:
            expected = "9 or 3x3" if self.stress_order is None else "6, 9 or 3x3"
            raise ValueError(f"a stress has {expected} components here; got {list(values.shape)}")
        return tensor * ((1 if self.positive == "tension" else -1) / self._per_ev_per_angstrom3(volume))

    def _per_ev_per_angstrom3(self, volume: float) -> float:
        return {
            "eV/Å³": 1.0,
            "GPa": GPA_PER_EV_PER_ANGSTROM3,
            "kbar": KBAR_PER_EV_PER_ANGSTROM3,
            "eV": volume,
        }[self.stress_unit]


_TENSOR = (("xx", "xy", "xz"), ("xy", "yy", "yz"), ("xz", "yz", "zz"))
