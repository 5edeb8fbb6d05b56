"""Settings of molecular dynamics, and their checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms

from torch_gptff.errors import EmptyStructureError, MissingCellError, MolecularDynamicsError
from torch_gptff.record import Record

ENSEMBLES = ("nve", "nvt", "npt")
THERMOSTATS = ("bussi", "langevin", "nose-hoover", "berendsen")
CELLS = ("isotropic", "anisotropic", "full")
AXES = ("a", "b", "c")

MOST_FS = 10.0
"""No timestep is larger ..."""

FS_PER_ROOT_MASS = 2.0
"""... nor than so much times the root of the smallest mass in u: 2 fs for hydrogen, 5 for lithium."""

RIGHT_ANGLE = 1e-3
"""Largest cosine of an angle that counts as a right one."""


@dataclass(frozen=True)
class MolecularDynamicsSettings(Record):
    """Settings of a run of molecular dynamics. Times are in fs, temperatures in K, pressures in GPa.

    Attributes:
        ensemble: one of :data:`ENSEMBLES`
        steps: of integration
        timestep: fs
        temperature: that is kept, and of the first velocities, K
        final_temperature: that is reached at the last step, linearly; ``None``: it stays
        thermostat: of ``nvt``, one of :data:`THERMOSTATS`; ``npt`` has Nosé–Hoover chains
        thermostat_time: of the thermostat, fs; for Langevin the inverse of the friction
        pressure: of ``npt``, GPa
        cell: how ``npt`` changes it: one of :data:`CELLS`, all lengths by one factor, each by its own, or freely
        mask: of ``npt`` with an ``"anisotropic"`` cell: which of the vectors a, b and c change in length, as in ASE's
            ``MaskedMTKNPT``; the others are kept, and feel no pressure
        barostat_time: of the barostat, fs
        strain: by which the cell vector ``strain_axis`` is longer at the last step, linearly: 0.2 is 20 %
        strain_axis: one of :data:`AXES`
        interval: steps between frames
        restart_interval: steps between frames from which a run can be continued
        seed: of the first velocities and of random forces
    """

    units: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("timestep", "thermostat_time", "barostat_time"), "fs"),
        **dict.fromkeys(("temperature", "final_temperature"), "K"),
        "pressure": "GPa",
    }

    ensemble: str = "nvt"
    steps: int = 1000
    timestep: float = 1.0
    temperature: float = 300.0
    final_temperature: float | None = None
    thermostat: str = "bussi"
    thermostat_time: float = 100.0
    pressure: float = 0.0
    cell: str = "isotropic"
    mask: tuple[bool, bool, bool] = (True, True, True)
    barostat_time: float = 1000.0
    strain: float = 0.0
    strain_axis: str = "c"
    interval: int = 10
    restart_interval: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no run.

        Raises:
            MolecularDynamicsError: a name that there is not, a number that makes no sense in its unit, or settings that
                contradict each other.
        """
        for name, choices in (("ensemble", ENSEMBLES), ("thermostat", THERMOSTATS), ("cell", CELLS)):
            _require_one_of(name, getattr(self, name), choices)
        _require_one_of("strain_axis", self.strain_axis, AXES)
        self._check_times()
        for name in ("temperature", "final_temperature"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= 20_000:
                raise MolecularDynamicsError(
                    f"a {name.replace('_', ' ')} of {value:g} K: temperatures are in kelvin, from 1 to 20000"
                )
        if not abs(self.pressure) <= 1000:
            raise MolecularDynamicsError(f"a pressure of {self.pressure:g} GPa: pressures are in GPa, up to 1000")
        if self.final_temperature is not None and self.ensemble == "nve":
            raise MolecularDynamicsError("nve keeps the energy: a temperature ramp needs a thermostat, nvt or npt")
        self._check_mask()
        self._check_strain()

    def _check_mask(self) -> None:
        if len(self.mask) != 3 or not set(self.mask) <= {True, False}:
            raise MolecularDynamicsError(f"a mask {self.mask}: it has a true or false for each of a, b and c")
        if all(self.mask):
            return
        if self.ensemble != "npt" or self.cell != "anisotropic":
            raise MolecularDynamicsError(
                f"a mask chooses which cell vectors change by factors of their own, and {self.ensemble}"
                f"{f' with a cell that is {self.cell}' * (self.ensemble == 'npt')} has none: take npt with "
                "cell='anisotropic'"
            )
        if not any(self.free_axes):
            raise MolecularDynamicsError("no cell vector is left that the pressure changes: take nvt")

    def _check_times(self) -> None:
        if not 0.05 <= self.timestep <= MOST_FS:
            raise MolecularDynamicsError(
                f"a timestep of {self.timestep:g} fs: timesteps are in femtoseconds, and a fast vibration takes about "
                f"10 (hydrogen) to 100 (heavy metals); take 1 or 2, and 0.5 with hydrogen"
            )
        for name in ("steps", "interval", "restart_interval"):
            if getattr(self, name) < 1:
                raise MolecularDynamicsError(f"{name.replace('_', ' ')} {getattr(self, name)}: it must be 1 or more")
        if self.steps % self.interval:
            lower = self.steps // self.interval * self.interval
            choices = f"{lower} or {lower + self.interval}" if lower else self.interval
            raise MolecularDynamicsError(
                f"{self.steps} steps do not end with a frame every {self.interval}: take {choices}"
            )
        if self.restart_interval % self.interval:
            raise MolecularDynamicsError(
                f"a restart every {self.restart_interval} steps is no frame every {self.interval}: take a multiple"
            )
        for name in ("thermostat_time", "barostat_time"):
            if not 5 * self.timestep <= getattr(self, name) <= 1e6:
                raise MolecularDynamicsError(
                    f"a {name.replace('_', ' ')} of {getattr(self, name):g} fs with a timestep of {self.timestep:g}: "
                    "take 5 timesteps or more; usual are 100 for a thermostat and 1000 for a barostat"
                )

    def _check_strain(self) -> None:
        if self.strain == 0:
            return
        if not -0.9 < self.strain <= 3:
            raise MolecularDynamicsError(
                f"a strain of {self.strain:g}: it is a fraction of the length, 0.2 for 20 %, above -0.9 and up to 3"
            )
        if abs(self.strain) / self.steps > 1e-3:
            raise MolecularDynamicsError(
                f"a strain of {self.strain:g} in {self.steps} steps tears the crystal apart: take at least "
                f"{int(np.ceil(abs(self.strain) * 1000))} steps, better a hundred times as many"
            )
        if self.ensemble == "npt" and self.cell != "anisotropic":
            raise MolecularDynamicsError(
                f"a cell that is strained along {self.strain_axis} relaxes along the other two vectors: take "
                "cell='anisotropic', or nvt for a cell that does not relax"
            )

    @property
    def free_axes(self) -> tuple[bool, ...]:
        """Which of the cell vectors a, b and c the barostat of an anisotropic cell changes: those of the mask, but for
        one that is strained."""
        strained = self.strain_axis if self.strain else None
        return tuple(free and axis != strained for free, axis in zip(self.mask, AXES, strict=True))

    def temperature_at(self, step: int) -> float:
        """K, of the thermostat."""
        if self.final_temperature is None:
            return self.temperature
        return self.temperature + (self.final_temperature - self.temperature) * step / self.steps

    def strain_at(self, step: int) -> float:
        """Index of the strained cell vector."""
        return self.strain * step / self.steps


def check_structure(atoms: Atoms, settings: MolecularDynamicsSettings) -> None:
    """Refuse a structure that cannot move so.

    Raises:
        EmptyStructureError: it has no atoms.
        MissingCellError: no crystal, where the ensemble or the strain needs one.
        MolecularDynamicsError: the timestep is too large for its lightest atom, constraints where the cell changes, or
            an oblique cell whose vectors change each by its own factor.
    """
    if len(atoms) == 0:
        raise EmptyStructureError("the structure has no atoms")
    masses = atoms.get_masses()
    lightest = int(np.argmin(masses))
    if masses[lightest] <= 0:
        raise MolecularDynamicsError(f"atom {lightest} ({atoms.symbols[lightest]}) has no mass")
    most = FS_PER_ROOT_MASS * float(np.sqrt(masses[lightest]))
    if settings.timestep > most:
        raise MolecularDynamicsError(
            f"a timestep of {settings.timestep:g} fs is too large for {atoms.symbols[lightest]}, whose vibrations are "
            f"fast: take at most {most:.2g}, better half of that"
        )
    changes_cell = settings.ensemble == "npt" or settings.strain != 0
    if changes_cell and not (atoms.pbc.all() and atoms.cell.rank == 3):
        raise MissingCellError("pressure and strain need a crystal, periodic along three cell vectors")
    if changes_cell and atoms.constraints:
        raise MolecularDynamicsError("constraints hold while the cell stays: remove them, or take nve or nvt")
    if settings.ensemble == "npt" and settings.cell == "anisotropic":
        _check_right_angles(atoms, settings)


def _check_right_angles(atoms: Atoms, settings: MolecularDynamicsSettings) -> None:
    """ASE stretches space along a vector: one that is not perpendicular to it would change, too."""
    directions = atoms.cell.array / atoms.cell.lengths()[:, None]
    for k, is_free in enumerate(settings.free_axes):
        for m in {0, 1, 2} - {k}:
            cosine = float(directions[k] @ directions[m])
            if is_free and abs(cosine) > RIGHT_ANGLE:
                angle = f"{AXES[k]} and {AXES[m]} are at {np.degrees(np.arccos(cosine)):.1f}°"
                raise MolecularDynamicsError(
                    f"an anisotropic cell changes along vectors that are perpendicular to the others, and {angle}: "
                    "take cell='full' or 'isotropic', or a cell with right angles"
                )


def _require_one_of(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise MolecularDynamicsError(f"no {name.replace('_', ' ')} {value!r}; there are {', '.join(choices)}")
