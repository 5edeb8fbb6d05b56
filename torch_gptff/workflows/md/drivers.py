"""ASE's integrators, with what they need to go on exactly where they stopped: thermostats, barostats, random numbers.

ASE gives no way to save them, so their variables are named here, by the names that they have in ASE 3.29.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.md import MTKNPT, Bussi, IsotropicMTKNPT, Langevin, MaskedMTKNPT, NoseHooverChainNVT, VelocityVerlet
from ase.md.nvtberendsen import NVTBerendsen
from ase.units import fs

from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows.md.settings import AXES, MolecularDynamicsSettings

THERMOSTAT_STATE = ("_thermostat._eta", "_thermostat._p_eta")
BAROSTAT_STATE = ("_barostat._xi", "_barostat._p_xi")
STATE: dict[str, tuple[str, ...]] = {
    "VelocityVerlet": (),
    "Langevin": (),
    "NVTBerendsen": (),
    "Bussi": ("transferred_energy",),
    "NoseHooverChainNVT": THERMOSTAT_STATE,
    "IsotropicMTKNPT": (*THERMOSTAT_STATE, *BAROSTAT_STATE, "_eps", "_p_eps", "_cell0", "_volume0"),
    "MTKNPT": (*THERMOSTAT_STATE, *BAROSTAT_STATE, "_p_g"),
    "MaskedMTKNPT": (*THERMOSTAT_STATE, *BAROSTAT_STATE, "_p_c", "_h0_basis"),
}
"""State of an integrator besides positions, momenta, cell and random numbers."""

CELL_MOMENTA = {"IsotropicMTKNPT": "_p_eps", "MTKNPT": "_p_g", "MaskedMTKNPT": "_p_c"}


class Driver:
    """An integrator that can be saved and restored, heated and strained.

    Args:
        atoms: that it moves, with calculator and momenta
        settings: of the run
        step: that the run has reached
    """

    def __init__(self, atoms: Atoms, settings: MolecularDynamicsSettings, step: int = 0) -> None:
        self.atoms = atoms
        self.settings = settings
        self.rng = np.random.default_rng(settings.seed)
        self._lengths = atoms.cell.lengths()
        self._temperature = settings.temperature_at(step)
        self.dynamics = self._build()

    def advance(self, step: int) -> None:
        """Take the step of this number, counted from 1, at its temperature and strain."""
        temperature = self.settings.temperature_at(step)
        if temperature != self._temperature:
            self._heat(temperature)
        if self.settings.strain:
            self._stretch(step)
        self.dynamics.step()

    def conserved_energy(self) -> float | None:
        """The energy of atoms, thermostat and barostat together, which stays as it is in exact dynamics, eV; ``None``
        where there is none, or it changes with the temperature or the strain."""
        if self.settings.final_temperature is not None or self.settings.strain:
            return None
        dynamics = self.dynamics
        if isinstance(dynamics, Bussi):
            return float(self.atoms.get_total_energy() - dynamics.transferred_energy)
        if isinstance(dynamics, NoseHooverChainNVT | IsotropicMTKNPT | MTKNPT):
            try:
                return float(dynamics.get_conserved_energy())
            except NotImplementedError:  # ASE asks for a free energy, which not every calculator names
                return None
        return float(self.atoms.get_total_energy()) if isinstance(dynamics, VelocityVerlet) else None

    def state(self) -> dict[str, Any]:
        """State of the integrator as JSON, exactly."""
        variables = {name: _plain(_get(self.dynamics, name)) for name in STATE[type(self.dynamics).__name__]}
        return {"variables": variables, "random": self.rng.bit_generator.state, "lengths": self._lengths.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state` gave, of a driver of the same settings at the same step."""
        for name, value in state["variables"].items():
            _set(self.dynamics, name, np.array(value) if isinstance(value, list) else value)
        self.rng.bit_generator.state = state["random"]
        self._lengths = np.array(state["lengths"])

    def _build(self) -> Any:
        settings, temperature = self.settings, self._temperature
        timestep, t_time, p_time = (
            value * fs for value in (settings.timestep, settings.thermostat_time, settings.barostat_time)
        )
        common: dict[str, Any] = {"atoms": self.atoms, "timestep": timestep}
        if settings.ensemble == "nve":
            return VelocityVerlet(**common)
        common["temperature_K"] = temperature
        if settings.ensemble == "nvt":
            if settings.thermostat == "langevin":
                return Langevin(**common, friction=1 / t_time, fixcm=False, rng=self.rng)
            if settings.thermostat == "berendsen":
                return NVTBerendsen(**common, taut=t_time)
            if settings.thermostat == "bussi":
                return Bussi(**common, taut=t_time, rng=self.rng)
            return NoseHooverChainNVT(**common, tdamp=t_time)
        common |= {"pressure_au": settings.pressure / GPA_PER_EV_PER_ANGSTROM3, "tdamp": t_time, "pdamp": p_time}
        if settings.cell == "isotropic":
            return IsotropicMTKNPT(**common)
        if settings.cell == "full":
            return MTKNPT(**common)
        # An array: with a tuple, numpy would take the mask for one of more dimensions.
        return MaskedMTKNPT(**common, mask=np.array(settings.free_axes))

    def _heat(self, temperature: float) -> None:
        """Set another temperature. The masses of thermostat and barostat, which are proportional to it, change; how
        fast their variables move does not."""
        factor, self._temperature = temperature / self._temperature, temperature
        dynamics = self.dynamics
        if isinstance(dynamics, Langevin | NVTBerendsen):
            dynamics.set_temperature(temperature_K=temperature)
            return
        before, self.dynamics = dynamics, self._build()
        for name in STATE[type(before).__name__]:
            value = _get(before, name)
            is_momentum = name.endswith(("._p_eta", "._p_xi")) or name == CELL_MOMENTA.get(type(before).__name__)
            _set(self.dynamics, name, value * factor if is_momentum else value)

    def _stretch(self, step: int) -> None:
        """Give the strained cell vector its length at a step, and carry the atoms with it."""
        axis = AXES.index(self.settings.strain_axis)
        cell = self.atoms.cell.array.copy()
        length = self._lengths[axis] * (1 + self.settings.strain_at(step))
        cell[axis] *= length / np.linalg.norm(cell[axis])
        self.atoms.set_cell(cell, scale_atoms=True)
        for name, value in (("_q", self.atoms.get_positions()), ("_h", cell)):  # copies that some integrators keep
            if hasattr(self.dynamics, name):
                setattr(self.dynamics, name, value)


def _get(owner: Any, path: str) -> Any:
    for name in path.split("."):
        owner = getattr(owner, name)
    return owner


def _set(owner: Any, path: str, value: Any) -> None:
    *owners, name = path.split(".")
    setattr(_get(owner, ".".join(owners)) if owners else owner, name, value)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
