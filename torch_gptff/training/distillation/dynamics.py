"""Frames of molecular dynamics with the teacher."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from ase import Atoms, units
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from numpy.random import Generator

from torch_gptff.training.distillation.limits import FAILED, STOPPED, TOO_CLOSE, are_too_close, excess
from torch_gptff.training.distillation.settings import DistillationSettings
from torch_gptff.training.distillation.teachers import Teacher


def dynamics(
    seed: Atoms, teacher: Teacher, temperature: float, settings: DistillationSettings, rng: Generator
) -> Iterator[Atoms | str]:
    """Frames of one Langevin run, every ``md_interval`` steps; the reason follows where it stopped early.

    A run stops when its atoms come too close or its forces exceed the limits.

    Args:
        seed: repeated until the cell is as high as ``md_length`` along its periods
        teacher: whose forces move the atoms
        temperature: temperature of thermostat and initial velocities, K
        settings: number of steps and limits
        rng: random numbers of velocities and thermostat
    """
    atoms = seed.repeat(repeats(seed, settings.md_length))
    atoms.set_constraint(FixCom())
    atoms.calc = teacher.calculator
    thermalize_momenta(atoms, temperature_K=temperature, rng=rng)
    run = Langevin(
        atoms,
        settings.timestep * units.fs,
        temperature_K=temperature,
        friction=settings.friction / units.fs,
        fixcm=False,
        rng=rng,
    )
    for _ in range(settings.md_steps // settings.md_interval):
        try:
            run.run(settings.md_interval)
            forces = atoms.get_forces()
        except Exception as error:
            yield f"{STOPPED}{FAILED}{type(error).__name__}: {' '.join(str(error).split())}"
            return
        if not np.isfinite(atoms.positions).all():
            yield f"{STOPPED}positions are no finite numbers"
            return
        reason = TOO_CLOSE if are_too_close(atoms, settings.min_distance) else excess(forces, None, settings)
        if reason is not None:
            yield f"{STOPPED}{reason}"
            return
        yield Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def repeats(atoms: Atoms, length: float) -> tuple[int, int, int]:
    """Repetitions of a cell to a height of at least ``length`` Å along each of its periods."""
    if not atoms.pbc.any():
        return 1, 1, 1
    with np.errstate(divide="ignore"):  # vectors that are zero have no period
        heights = 1 / np.linalg.norm(np.linalg.pinv(atoms.cell.array), axis=0)
    times = [
        max(1, math.ceil(length / h - 1e-9)) if period else 1 for h, period in zip(heights, atoms.pbc, strict=True)
    ]
    return times[0], times[1], times[2]
