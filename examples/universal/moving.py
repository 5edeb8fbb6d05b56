"""Molecular dynamics with the teacher, and packed molecules."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.collections import g2
from ase.data import atomic_masses
from ase.data import covalent_radii as radii
from changes import ELEMENTS, enlarged, is_sane, plain, rattled, replaced, rescaled, slab, substitute
from labelling import Label, Tagged, Teacher, frame, written
from prepare import is_test


def packed(rng: np.random.Generator) -> Atoms | None:
    """Two to six small molecules in a box, most of them of one kind."""
    names = [name for name in g2.names if len(molecule(name)) <= 7]
    first = rng.choice(names)
    edge = rng.uniform(5.5, 9.5)
    for _ in range(40):
        box = Atoms(cell=[edge] * 3, pbc=True)
        for _ in range(rng.integers(2, 7)):
            one = molecule(first if rng.random() < 0.8 else rng.choice(names))
            one.rotate(rng.uniform(0, 360), rng.normal(size=3))
            one.positions += rng.uniform(0, edge, 3) - one.positions.mean(axis=0)
            box += one
        touching = radii[box.numbers][:, None] + radii[box.numbers]
        if (box.get_all_distances(mic=True) / touching + 10 * np.eye(len(box))).min() > 0.75:
            return plain(box)
    return None


def molecules(crystals: list[Atoms], teacher: Teacher, rng: np.random.Generator) -> Iterator[str]:
    """A hundred and twenty distorted molecules and packed boxes."""
    tagged: list[Tagged] = []
    while len(tagged) < 120:
        if rng.random() < 0.5:
            one = molecule(rng.choice(g2.names), cell=[14] * 3, pbc=True)
            one.positions *= rng.choice([0.92, 0.97, 1.0, 1.0, 1.05, 1.15])
            one.positions += 7
            tagged.append((rattled(one, rng.choice([0.02, 0.05, 0.1, 0.2]), rng), "mol"))
        elif (box := packed(rng)) is not None:
            tagged.append((rattled(box, 0.04, rng), "molecular"))
    return written(tagged, teacher)


def dynamics(crystals: list[Atoms], teacher: Teacher, rng: np.random.Generator) -> Iterator[str]:
    """Snapshots of some forty structures; those hotter than 1,500 K are quenched to 300 K in the last third."""
    chosen: list[Atoms] = []
    while sum(map(len, chosen)) < 700:
        atoms = crystals[rng.integers(len(crystals))]
        if rng.random() < 0.3:
            numbers = substitute(atoms.numbers, rng)
            atoms = replaced(atoms, numbers)
        what = rng.random()
        atoms = packed(rng) if what < 0.1 else slab(atoms, rng) if what < 0.2 else atoms
        if (
            atoms is None
            or len(atoms) > 16
            or not set(atoms.numbers.tolist()) <= set(ELEMENTS)
            or is_test(atoms.numbers)
        ):
            continue
        atoms = enlarged(atoms, 12)
        if rng.random() < 0.3:
            atoms = rescaled(atoms, rng.uniform(0.95, 1.25))
        if is_sane(atoms):
            atoms.info["temperature"] = float(rng.choice([300, 600, 1000, 1500, 2200, 3000]))
            chosen.append(atoms)
    return heated(chosen, teacher, 180, 30, rng)


def heated(chosen: list[Atoms], teacher: Teacher, steps: int, interval: int, rng: np.random.Generator) -> Iterator[str]:
    """Frames of the teacher's own dynamics, see :func:`snapshots`."""
    for atoms, label in snapshots(chosen, teacher, steps, interval, rng):
        yield frame(atoms, f"md:{atoms.info['temperature']:.0f}", label)


def snapshots(
    chosen: list[Atoms], labels_of: Teacher, steps: int, interval: int, rng: np.random.Generator
) -> Iterator[tuple[Atoms, Label]]:
    """Langevin dynamics (BAOAB) of 2 fs a step, 1 fs with hydrogen; each structure every so many steps, with its label.

    Args:
        chosen: structures with a `temperature`, K, among their info; those hotter than 1,500 K are at 300 K in the last
            third. Moved in place
        labels_of: what gives their forces
        steps: number of steps
        interval: steps between two snapshots
        rng: of the velocities and of the noise
    """
    masses = [atomic_masses[atoms.numbers][:, None] for atoms in chosen]
    timesteps = [(1.0 if 1 in atoms.numbers else 2.0) * units.fs for atoms in chosen]
    velocities = [
        rng.normal(size=(len(atoms), 3)) * np.sqrt(2 * units.kB * atoms.info["temperature"] / mass)
        for atoms, mass in zip(chosen, masses, strict=True)
    ]
    forces = [np.clip(np.nan_to_num(label[1]), -60, 60) for label in labels_of(chosen)]
    for step in range(1, steps + 1):
        for atoms, mass, dt, velocity, force in zip(chosen, masses, timesteps, velocities, forces, strict=True):
            temperature = atoms.info["temperature"]
            if temperature > 1500 and step > steps * 2 / 3:
                temperature = 300.0
            velocity += dt / 2 * force / mass
            atoms.positions += dt / 2 * velocity
            keep = np.exp(-0.02 / units.fs * dt)
            noise = np.sqrt((1 - keep**2) * units.kB * temperature / mass)
            velocity[:] = keep * velocity + noise * rng.normal(size=velocity.shape)
            atoms.positions += dt / 2 * velocity
        labels = labels_of(chosen)
        forces = [np.clip(np.nan_to_num(label[1]), -60, 60) for label in labels]
        for mass, dt, velocity, force in zip(masses, timesteps, velocities, forces, strict=True):
            velocity += dt / 2 * force / mass
        if step % interval == 0:
            for atoms, label in zip(chosen, labels, strict=True):
                snapshot = atoms.copy()
                snapshot.wrap()
                yield snapshot, label
