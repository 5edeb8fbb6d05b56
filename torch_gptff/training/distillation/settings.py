"""Settings of a distillation: frames made from every seed, and limits for them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch_gptff.errors import ConfigError


@dataclass(frozen=True)
class DistillationSettings:
    """Numbers of frames of each kind for a seed structure, and limits for them.

    Attributes:
        unchanged: whether the seed itself is one of them
        strained: number of copies with a random strain of the cell, and the least rattling
        rattled: number of copies with random displacements, of cells repeated to at least ``rattled_atoms``
        rescaled: number of copies with another volume, and the least rattling
        substituted: number of copies in which one element is replaced by a chemically near one, see
            :func:`~torch_gptff.training.distillation.substitution.near_elements`
        collided: number of copies rattled as above, of cells repeated to at least ``collided_atoms``, in which two
            neighbours
            stand nearer than ``min_distance`` allows
        temperatures: temperatures of the molecular dynamics runs, K
        strain: standard deviation of the components of the strain
        rattle: least and greatest standard deviation of displacements, Å
        rattled_atoms: smallest number of atoms in rattled cells; in smaller ones images move together
        collided_atoms: smallest number of atoms in cells of collisions; in smaller ones most neighbours are images
        volume: least and greatest factor of the volume
        collision: least and greatest distance of the two that collide, as a fraction of the sum of their covalent
            radii; collided copies in which any two atoms are nearer than the least, or whose nuclei alone repel each
            other by more than ``max_force``, are left out: few teachers know the wall so far up, and many have holes
        among: symbols of the elements that may be inserted; all if empty
        md_steps: number of steps of each run
        md_interval: number of steps between frames
        timestep: time step, fs
        friction: friction of the Langevin thermostat, 1/fs
        md_length: structures are repeated along their periods to at least this height of the cell for dynamics, Å
        min_distance: least distance of two atoms as a fraction of the sum of their covalent radii; closer ones are left
            out
        max_force: largest force on an atom, eV/Å; other frames are left out
        max_stress: largest stress component, GPa; other frames are left out
        seed: random seed
    """

    unchanged: bool = True
    strained: int = 5
    rattled: int = 5
    rescaled: int = 2
    substituted: int = 0
    collided: int = 0
    temperatures: tuple[float, ...] = (300.0, 1000.0)
    strain: float = 0.025
    rattle: tuple[float, float] = (0.02, 0.2)
    rattled_atoms: int = 4
    collided_atoms: int = 8
    volume: tuple[float, float] = (0.82, 1.22)
    collision: tuple[float, float] = (0.45, 0.8)
    among: tuple[str, ...] = ()
    md_steps: int = 200
    md_interval: int = 50
    timestep: float = 1.0
    friction: float = 0.02
    md_length: float = 6.0
    min_distance: float = 0.62
    max_force: float = 40.0
    max_stress: float = 144.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in (
            "strained",
            "rattled",
            "rescaled",
            "substituted",
            "collided",
            "md_steps",
            "strain",
            "friction",
            "seed",
        ):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative; got {getattr(self, name)!r}")
        for name in (
            "rattled_atoms",
            "collided_atoms",
            "md_interval",
            "timestep",
            "md_length",
            "min_distance",
            "max_force",
            "max_stress",
        ):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive; got {getattr(self, name)!r}")
        for name in ("rattle", "volume", "collision"):
            low, high = getattr(self, name)
            if not 0 <= low <= high or (name != "rattle" and low == 0):
                raise ConfigError(f"{name} must be a range of positive numbers; got {low!r} to {high!r}")
        if not all(temperature > 0 for temperature in self.temperatures):
            raise ConfigError(f"temperatures must be positive; got {self.temperatures!r}")
        from ase.data import atomic_numbers

        unknown = sorted(set(self.among) - set(atomic_numbers))
        if unknown:
            raise ConfigError(f"no elements: {', '.join(unknown)}")

    def to_dict(self) -> dict[str, Any]:
        """Every field by name, for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
