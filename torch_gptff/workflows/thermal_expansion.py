"""Record of the quasi-harmonic approximation of a crystal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.errors import PhononError
from torch_gptff.record import FORMULA, Record, verdict
from torch_gptff.report import Column
from torch_gptff.report.style import drawn
from torch_gptff.units import KELVIN_IN_EV
from torch_gptff.workflows.phonon_spectrum import NUMERICAL_ZERO

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOM = 300.0
"""Temperature of the table, K."""

TERAHERTZ_IN_EV = 4.135667696e-3
"""Planck's constant times 1 THz, eV (CODATA 2018)."""


@dataclass(frozen=True)
class QuasiHarmonicCrystal(Record):
    """Thermal expansion of a crystal, and what follows from it, at zero pressure.

    Attributes:
        atoms: the crystal at its volume of least energy
        supercell: repetitions of its cell for the force constants
        volumes: of the cell, at which phonons were computed, Å³, ascending, ``[K]``
        energies: of the cell at rest, eV, ``[K]``
        lowest_frequencies: THz, imaginary ones negative, ``[K]``
        free_energies: of the cell, with vibrations (Helmholtz), eV, ``[T, K]``
        temperatures: K, ``[T]``
        volume: of the cell in equilibrium, Å³, ``[T]``
        thermal_expansion: of the volume, ``dV/dT / V``, 1/K, ``[T]``
        bulk_modulus: isothermal, GPa, ``[T]``
        heat_capacity: at constant pressure, J/(mol K) per mole of atoms, ``[T]``
        gibbs_energy: eV per atom, ``[T]``
        gruneisen: thermodynamic Grüneisen parameter ``α B V / C_V``, ``[T]``; 0 at 0 K
        mode_frequencies: of the modes of a mesh at the volume of ``atoms``, THz, without those below
            :data:`~torch_gptff.workflows.phonon_spectrum.NUMERICAL_ZERO`, ``[M]``
        mode_gruneisen: ``−∂ln ω/∂ln V`` of each mode, ``[M]``
        mode_weights: number of modes of the mesh that each stands for, ``[M]``
        n_unconverged: volumes at which the atoms did not relax
        remarks: warnings about the result
    """

    derived: ClassVar[tuple[str, ...]] = ("mean_gruneisen", "is_stable", "linear_expansion_300K")
    units: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("volumes", "volume"), "Å³"),
        **dict.fromkeys(("energies", "free_energies"), "eV"),
        **dict.fromkeys(("lowest_frequencies", "mode_frequencies"), "THz"),
        "temperatures": "K",
        "thermal_expansion": "1/K",
        "linear_expansion_300K": "1/K",
        "bulk_modulus": "GPa",
        "heat_capacity": "J/(mol K), per mole of atoms",
        "gibbs_energy": "eV/atom",
    }
    columns: ClassVar[tuple[Column, ...]] = (
        FORMULA,
        Column("V 0 K", "Å³/atom", 3, lambda each: each.at("volume", 0.0) / len(each.atoms)),
        Column("V 300 K", "Å³/atom", 3, lambda each: each.at("volume", ROOM) / len(each.atoms)),
        Column("α", "10⁻⁶/K", 2, lambda each: 1e6 * each.at("thermal_expansion", ROOM)),
        Column("B", "GPa", 1, lambda each: each.at("bulk_modulus", ROOM)),
        Column("Cp", "J/mol/K", 2, lambda each: each.at("heat_capacity", ROOM)),
        Column("γ", "", 2, lambda each: each.at("gruneisen", ROOM)),
        Column("mean γ", "", 2, lambda each: each.mean_gruneisen, detail=True),
        Column("up to", "K", 0, lambda each: float(each.temperatures[-1])),
        Column("stable", value=lambda each: verdict(each.is_stable)),
    )

    atoms: Atoms
    supercell: tuple[int, ...]
    volumes: NDArray[np.float64]
    energies: NDArray[np.float64]
    lowest_frequencies: NDArray[np.float64]
    free_energies: NDArray[np.float64]
    temperatures: NDArray[np.float64]
    volume: NDArray[np.float64]
    thermal_expansion: NDArray[np.float64]
    bulk_modulus: NDArray[np.float64]
    heat_capacity: NDArray[np.float64]
    gibbs_energy: NDArray[np.float64]
    gruneisen: NDArray[np.float64]
    mode_frequencies: NDArray[np.float64]
    mode_gruneisen: NDArray[np.float64]
    mode_weights: NDArray[np.float64]
    n_unconverged: int
    remarks: tuple[str, ...] = ()

    @property
    def is_stable(self) -> bool:
        """Whether no mode is imaginary at any volume."""
        return bool((self.lowest_frequencies > -NUMERICAL_ZERO).all())

    @property
    def linear_expansion_300K(self) -> float:
        """A third of the expansion of the volume at 300 K, 1/K: that of every length of a cubic crystal."""
        return self.at("thermal_expansion", ROOM) / 3

    @property
    def mean_gruneisen(self) -> float:
        """Mean of ``mode_gruneisen``, weighted by the heat capacities of the modes at 300 K."""
        x = self.mode_frequencies * TERAHERTZ_IN_EV / (KELVIN_IN_EV * ROOM)
        capacities = (x / (2 * np.sinh(x / 2))) ** 2
        return float(np.average(self.mode_gruneisen, weights=self.mode_weights * capacities))

    def at(self, name: str, temperature: float) -> float:
        """A property of which there is a value for each temperature, interpolated.

        Args:
            name: of the property, such as ``"bulk_modulus"``
            temperature: K

        Raises:
            PhononError: the temperature is outside of those computed.
        """
        if not self.temperatures[0] <= temperature <= self.temperatures[-1]:
            raise PhononError(
                f"{temperature:g} K is outside of the temperatures computed, {self.temperatures[0]:g} to "
                f"{self.temperatures[-1]:g} K"
            )
        return float(np.interp(temperature, self.temperatures, getattr(self, name)))

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the volume by temperature.

        Args:
            axes: of matplotlib to draw on; by default new ones
        """
        from torch_gptff.workflows.drawing.qha import draw_volume

        return drawn(draw_volume, self, axes)
