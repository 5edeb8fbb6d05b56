"""Perturbed copies of a structure."""

from __future__ import annotations

from collections.abc import Iterator

from ase import Atoms
from numpy.random import Generator, default_rng

from torch_gptff.training.distillation.deformations import collided, rattled, repeated, rescaled, strained
from torch_gptff.training.distillation.settings import DistillationSettings
from torch_gptff.training.distillation.substitution import substituted

KINDS = ("seed", "strained", "rattled", "rescaled", "substituted", "dynamics", "collided")
"""Kinds of frames; the place of a kind here is part of the random seed."""


def generator(settings: DistillationSettings, seed: int, kind: str, number: int) -> Generator:
    """Random numbers of one copy of one seed. They do not depend on how many others there are."""
    return default_rng([settings.seed, seed, KINDS.index(kind), number])


def perturbed(atoms: Atoms, seed: int, settings: DistillationSettings) -> Iterator[tuple[str, int, Atoms | None]]:
    """The seed and its copies, each with its kind and number.

    A structure without periods is neither strained nor rescaled, an atom that is alone collides with none: ``None``
    stands for a copy that does not exist.

    Args:
        atoms: the seed
        seed: number of the seed
        settings: numbers and magnitudes of the perturbations
    """
    if settings.unchanged:
        yield "seed", 0, atoms.copy()
    is_periodic = bool(atoms.pbc.any())
    for number in range(settings.strained):
        rng = generator(settings, seed, "strained", number)
        copy = strained(atoms, settings.strain, rng) if is_periodic else None
        yield "strained", number, None if copy is None else rattled(copy, settings.rattle[0], rng)
    larger = repeated(atoms, settings.rattled_atoms)
    for number in range(settings.rattled):
        rng = generator(settings, seed, "rattled", number)
        yield "rattled", number, rattled(larger, rng.uniform(*settings.rattle), rng)
    for number in range(settings.rescaled):
        rng = generator(settings, seed, "rescaled", number)
        copy = rescaled(atoms, rng.uniform(*settings.volume)) if is_periodic else None
        yield "rescaled", number, None if copy is None else rattled(copy, settings.rattle[0], rng)
    for number in range(settings.substituted):
        rng = generator(settings, seed, "substituted", number)
        copy = substituted(atoms, settings.among, rng)
        yield "substituted", number, None if copy is None else rattled(copy, settings.rattle[0], rng)
    larger = repeated(atoms, settings.collided_atoms)
    for number in range(settings.collided):
        rng = generator(settings, seed, "collided", number)
        yield "collided", number, collided(rattled(larger, rng.uniform(*settings.rattle), rng), settings.collision, rng)
