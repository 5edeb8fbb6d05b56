"""Record of the lattice thermal conductivity of a crystal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.errors import PhononError
from torch_gptff.record import FORMULA, Record
from torch_gptff.report import Column
from torch_gptff.report.style import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIFETIME_KELVIN = 300.0
"""Temperature of the table, and of lifetimes, K; or the nearest that was computed."""


@dataclass(frozen=True)
class ThermalConductivity(Record):
    """The lattice thermal conductivity of a crystal by three-phonon scattering, in the relaxation-time approximation.

    Attributes:
        atoms: the crystal
        supercell: repetitions of its cell
        displacement: of an atom, Å
        n_displaced: supercells with displaced atoms that were computed
        residual_force: the largest in the undisplaced supercell, eV/Å; these forces are subtracted
        mesh: of wave vectors
        isotopes: whether phonons are scattered by natural isotopes, too
        temperatures: K, ``[T]``
        conductivity: W/(m K), ``[T, 3, 3]``
        lowest_frequency: on the mesh, THz
        mode_temperature: to which lifetimes and contributions of modes belong, K
        mode_frequencies: of modes that carry heat, THz, ``[M]``
        mode_lifetimes: ps, ``[M]``
        mode_weights: modes of the mesh that each stands for, ``[M]``
        mode_conductivity: contribution of these to a third of the trace of ``conductivity``, W/(m K), ``[M]``
    """

    derived: ClassVar[tuple[str, ...]] = ("conductivity_300K",)
    units: ClassVar[dict[str, str]] = {
        "displacement": "Å",
        "residual_force": "eV/Å",
        **dict.fromkeys(("temperatures", "mode_temperature"), "K"),
        **dict.fromkeys(("conductivity", "mode_conductivity", "conductivity_300K"), "W/(m K)"),
        **dict.fromkeys(("lowest_frequency", "mode_frequencies"), "THz"),
        "mode_lifetimes": "ps",
    }
    columns: ClassVar[tuple[Column, ...]] = (
        FORMULA,
        Column("κ 300 K", "W/m/K", None, lambda each: each.conductivity_300K),
        Column("κxx", "W/m/K", None, lambda each: float(each.at(LIFETIME_KELVIN)[0, 0])),
        Column("κyy", "W/m/K", None, lambda each: float(each.at(LIFETIME_KELVIN)[1, 1])),
        Column("κzz", "W/m/K", None, lambda each: float(each.at(LIFETIME_KELVIN)[2, 2])),
        Column("supercells", value=lambda each: each.n_displaced),
        Column("lowest", "THz", 2, lambda each: each.lowest_frequency, detail=True),
    )

    atoms: Atoms
    supercell: tuple[int, ...]
    displacement: float
    n_displaced: int
    residual_force: float
    mesh: tuple[int, ...]
    isotopes: bool
    temperatures: NDArray[np.float64]
    conductivity: NDArray[np.float64]
    lowest_frequency: float
    mode_temperature: float
    mode_frequencies: NDArray[np.float64]
    mode_lifetimes: NDArray[np.float64]
    mode_weights: NDArray[np.float64]
    mode_conductivity: NDArray[np.float64]

    @property
    def mean_conductivity(self) -> NDArray[np.float64]:
        """A third of the trace, W/(m K), ``[T]``: that of a polycrystal, where the crystal is cubic."""
        return np.asarray(np.trace(self.conductivity, axis1=1, axis2=2) / 3)

    @property
    def conductivity_300K(self) -> float:
        """A third of the trace at 300 K, W/(m K)."""
        return float(np.trace(self.at(LIFETIME_KELVIN)) / 3)

    def at(self, temperature: float) -> NDArray[np.float64]:
        """The conductivity at a temperature, interpolated in its logarithm, W/(m K), ``[3, 3]``.

        Args:
            temperature: K

        Raises:
            PhononError: the temperature is outside of those computed.
        """
        kelvins = self.temperatures
        if not kelvins[0] <= temperature <= kelvins[-1]:
            raise PhononError(
                f"{temperature:g} K is outside of the temperatures computed, {kelvins[0]:g} to {kelvins[-1]:g} K"
            )
        flat = self.conductivity.reshape(len(kelvins), 9)
        return np.array([np.interp(np.log(temperature), np.log(kelvins), each) for each in flat.T]).reshape(3, 3)

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the conductivity by temperature.

        Args:
            axes: of matplotlib to draw on; by default new ones
        """
        from torch_gptff.workflows.drawing.kappa import draw_conductivity

        return drawn(draw_conductivity, self, axes)
