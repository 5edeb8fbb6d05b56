"""Warnings about runs of molecular dynamics."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.workflows.md.settings import MolecularDynamicsSettings

THERMOSTAT_TIMES = 10
"""A run takes so many times of its thermostat to forget how it began."""

RAMP_TIMES = 20
"""A ramp takes so many times of its thermostat for the atoms to lag behind by a tenth of it at most."""

OFF = 0.15
"""The mean temperature is told where it is off by more than this part, and by more than chance explains."""


def foreseen(atoms: Atoms, settings: MolecularDynamicsSettings) -> list[str]:
    """Warnings that are known before the first step.

    Args:
        atoms: the structure
        settings: of the run
    """
    told = []
    duration = settings.steps * settings.timestep
    if len(atoms) == 1:
        told.append(
            "one atom moves with its periodic images and feels no force: its temperature is that of the first velocity "
            "or of the thermostat alone; repeat the cell"
        )
    if settings.ensemble == "nve":
        is_at_rest = not (atoms.has("momenta") and atoms.get_momenta().any())
        if is_at_rest and len(atoms) > 1:
            told.append(
                f"nve keeps the energy, and atoms that stand at rest give half of the {settings.temperature:g} K of "
                f"their first velocities to their vibrations: expect about {settings.temperature / 2:g} K; to have "
                f"{settings.temperature:g} K, run nvt first and take its last frame, or begin with twice as much"
            )
        return told
    if settings.final_temperature is not None and duration < RAMP_TIMES * settings.thermostat_time:
        rate = abs(settings.final_temperature - settings.temperature) / duration  # K/fs
        # A thermostat that heats the motion must heat the vibrations' potential energy with it, in twice the time; that
        # of Langevin is given by its friction, to which energies relax twice as fast.
        lag = rate * settings.thermostat_time * (1 if settings.thermostat == "langevin" else 2)
        told.append(
            f"a ramp from {settings.temperature:g} to {settings.final_temperature:g} K in {duration:g} fs is fast "
            f"for a thermostat of {settings.thermostat_time:g} fs: the atoms lag behind by some {lag:.0f} K; take "
            f"{int(np.ceil(RAMP_TIMES * settings.thermostat_time / settings.timestep))} steps or more"
        )
    elif duration < THERMOSTAT_TIMES * settings.thermostat_time:
        told.append(
            f"{duration:g} fs are short beside a thermostat of {settings.thermostat_time:g} fs: the run keeps a memory "
            "of how it began; for averages, take "
            f"{int(np.ceil(THERMOSTAT_TIMES * settings.thermostat_time / settings.timestep))} steps or more"
        )
    return told


def found(settings: MolecularDynamicsSettings, temperatures: NDArray[np.float64], n_atoms: int) -> list[str]:
    """Warnings from the temperatures of the second half of a run.

    Args:
        settings: of the run
        temperatures: of the frames, K, ``[F]``
        n_atoms: that move
    """
    if settings.final_temperature is not None or n_atoms == 1:
        return []
    second_half = temperatures[len(temperatures) // 2 :]
    mean, target = float(second_half.mean()), settings.temperature
    chance = 2 * target * np.sqrt(2 / (3 * n_atoms))  # of one frame: those of a run may be all alike
    if abs(mean - target) <= max(OFF * target, chance):
        return []
    why = {
        "nve": "nve keeps the energy, of which vibrations take their share",
        "nvt": "the thermostat has not brought the atoms there yet: run longer, or take a shorter thermostat time",
        "npt": "the thermostat has not brought the atoms there yet: run longer, or take a shorter thermostat time",
    }
    return [
        f"the mean temperature of the second half is {mean:.0f} K, and {target:g} K were asked for: "
        f"{why[settings.ensemble]}"
    ]
