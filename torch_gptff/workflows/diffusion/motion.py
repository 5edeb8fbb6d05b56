"""Motion of ions: their unwrapped positions along a trajectory, without the drift of all atoms."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.errors import DiffusionError, TrajectoryError
from torch_gptff.workflows.inputs import as_atoms

Origin = Literal["center of mass", "framework", "laboratory"]

LARGEST_STEP = 0.4
"""Largest displacement between frames, in cell lengths: beyond it, the direction of an atom is ambiguous."""


@dataclass(frozen=True)
class Motion:
    """The ions of one species along a trajectory.

    Attributes:
        species: symbol of the ions
        positions: unwrapped, in the mean cell, with ``origin`` where it was at first, Å, ``[F, n, 3]``
        dipole: Σ q r of all charged atoms likewise, e Å, ``[F, 3]``; ``None`` without charges
        charges: of the elements, e
        counts: of the atoms of every element
        cell: the mean cell, Å, ``[3, 3]``
        is_crystal: whether it is periodic in three directions, so that its volume means something
        timestep: between frames, fs
        origin: what is at rest
        temperature: mean of the kinetic one, K; ``None`` where frames have no velocities
    """

    species: str
    positions: NDArray[np.float64]
    dipole: NDArray[np.float64] | None
    charges: dict[str, float]
    counts: dict[str, int]
    cell: NDArray[np.float64]
    is_crystal: bool
    timestep: float
    origin: Origin
    temperature: float | None

    @property
    def volume(self) -> float:
        """Volume of the mean cell, Å³."""
        return float(abs(np.linalg.det(self.cell)))

    @property
    def duration(self) -> float:
        """ps."""
        return (len(self.positions) - 1) * self.timestep / 1000


def ion_motion(
    frames: Iterable[Any],
    species: str,
    *,
    timestep: float | None = None,
    charges: Mapping[str, float] | None = None,
    origin: Origin = "center of mass",
    skip: float = 0.0,
) -> Motion:
    """Follow the ions of a species through the frames of a trajectory, which are read once and not kept.

    Positions may be wrapped into the cell or not. They are unwrapped as fractions of the cell: the step of an atom from
    one frame to the next is the shortest of its images, and the sum of steps is turned into lengths by the mean cell.
    A cell that breathes in NPT therefore moves no atom, wherever the barostat puts its fixed point. (Adding lattice
    vectors of the current cell, as many programs do, makes distant images jump with every change of the cell:
    `Bullerjahn et al., J. Chem. Theory Comput. 19, 3406 (2023) <https://doi.org/10.1021/acs.jctc.3c00308>`_.)

    Args:
        frames: equally spaced in time, of the same atoms in the same order
        species: symbol of the ions
        timestep: between frames, fs; by default what frames tell (``atoms.info["time_fs"]``)
        charges: of elements, e; others have none
        origin: what is kept at rest: the centre of mass of all atoms, or that of all other elements (the framework, for
            ions in a solid), or nothing
        skip: of the beginning, in which the run comes to equilibrium, ps

    Raises:
        DiffusionError: the species is not there, the times make no sense, or there is no framework.
        TrajectoryError: frames are of different atoms, or fewer than two, or not finite, or periodic without a cell.
    """
    if timestep is not None and not timestep > 0:
        raise DiffusionError(f"the time between frames is {timestep} fs: it must be positive")
    if not skip >= 0:
        raise DiffusionError(f"{skip} ps cannot be left out")
    reader = _Reader(species, dict(charges or {}), origin)
    for atoms in frames:
        reader.take(as_atoms(atoms))
    return reader.finish(timestep, skip)


class _Reader:
    """State while frames are read: fractional displacements, summed over steps."""

    def __init__(self, species: str, charges: dict[str, float], origin: Origin) -> None:
        self.species, self.charges, self.origin = species, charges, origin
        self.ions: list[NDArray[np.float64]] = []
        self.dipoles: list[NDArray[np.float64]] = []
        self.cells: list[NDArray[np.float64]] = []
        self.times: list[float | None] = []
        self.temperatures: list[float] = []
        self.largest_step = 0.0
        self.unwrapped = self.last = self.center = np.empty(0)

    def take(self, atoms: Atoms) -> None:
        """One frame."""
        number = len(self.cells)
        if number == 0:
            self._begin(atoms)
        elif len(atoms) != len(self.numbers) or (atoms.numbers != self.numbers).any():
            raise TrajectoryError(f"frame {number} is of other atoms than the first: a trajectory has the same in all")
        cell = atoms.cell.complete()
        fractions = cell.scaled_positions(atoms.positions)
        if not np.isfinite(fractions).all():
            raise TrajectoryError(f"frame {number} has positions that are not finite numbers")
        if number == 0:
            self.unwrapped = fractions.copy()
        else:
            steps = fractions - self.last
            steps -= np.where(self.pbc, np.round(steps), 0.0)
            self.largest_step = max(self.largest_step, float(np.abs(steps[:, self.pbc]).max(initial=0.0)))
            self.unwrapped += steps
        self.last = fractions
        center = self.weights @ self.unwrapped
        if number == 0:
            self.center = center
        moved = self.unwrapped - (center - self.center)
        self.ions.append(moved[self.chosen])
        self.dipoles.append(self.charge @ moved)
        self.cells.append(cell.array)
        self.times.append(atoms.info.get("time_fs"))
        if atoms.has("momenta"):
            self.temperatures.append(atoms.get_temperature())

    def _begin(self, atoms: Atoms) -> None:
        if atoms.pbc.any() and atoms.cell.array[atoms.pbc].any(axis=1).sum() < atoms.pbc.sum():
            raise TrajectoryError("the structure is periodic along a direction without a cell vector")
        self.numbers, self.pbc = atoms.numbers.copy(), atoms.pbc.copy()
        symbols = np.array(atoms.symbols)
        self.counts = {str(name): int(n) for name, n in zip(*np.unique(symbols, return_counts=True), strict=True)}
        for name in [self.species, *self.charges]:
            if name not in self.counts:
                raise DiffusionError(f"there is no {name} in the trajectory; there are {', '.join(self.counts)}")
        self.chosen = symbols == self.species
        self.charge = np.array([self.charges.get(name, 0.0) for name in symbols])
        masses = atoms.get_masses()
        if self.origin == "framework":
            masses = np.where(self.chosen, 0.0, masses)
            if not masses.any():
                raise DiffusionError(f"all atoms are {self.species}: there is no framework for them to move in")
        self.weights = np.zeros_like(masses) if self.origin == "laboratory" else masses / masses.sum()

    def finish(self, timestep: float | None, skip: float) -> Motion:
        """All frames together, but for the first."""
        if len(self.cells) < 2:
            raise TrajectoryError(f"a trajectory has two frames or more; this has {len(self.cells)}")
        if self.largest_step > LARGEST_STEP:
            warnings.warn(
                f"an atom moves by {self.largest_step:.2f} of the cell between frames: they may be too far apart in "
                "time for its way to be told",
                stacklevel=3,
            )
        step = self._timestep(timestep)
        first = int(np.ceil(1000 * skip / step - 1e-6))
        if len(self.cells) - first < 2:
            left = max(len(self.cells) - first, 0)
            raise DiffusionError(
                f"leaving out the first {skip:g} ps leaves {left} of {len(self.cells)} frames, {step:g} fs apart"
            )
        cell = np.mean(self.cells[first:], axis=0)
        warm = self.temperatures[first:] if len(self.temperatures) == len(self.cells) else []
        return Motion(
            species=self.species,
            positions=np.array(self.ions[first:]) @ cell,
            dipole=np.array(self.dipoles[first:]) @ cell if self.charge.any() else None,
            charges=self.charges,
            counts=self.counts,
            cell=cell,
            is_crystal=bool(self.pbc.all()),
            timestep=step,
            origin=self.origin,
            temperature=float(np.mean(warm)) if warm else None,
        )

    def _timestep(self, given: float | None) -> float:
        if any(time is None for time in self.times):
            if given is None:
                raise DiffusionError("frames do not tell their time: give the time between them, in fs")
            return given
        steps = np.diff(np.array(self.times, dtype=float))
        told = float(np.median(steps))
        if told <= 0 or np.abs(steps - told).max() > 1e-3 * told:
            raise DiffusionError(
                f"frames are not equally spaced in time, but {steps.min():g} to {steps.max():g} fs apart: take a part "
                "of the trajectory in which they are"
            )
        if given is not None and abs(given - told) > 1e-2 * told:
            raise DiffusionError(f"frames tell that they are {told:g} fs apart, and {given:g} fs is given")
        return told
