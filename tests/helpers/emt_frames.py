"""Frames with true labels, and a model that is trained on them in seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

MODEL = {"channels": 8, "num_layers": 1, "num_radial": 4, "cutoff": 4.0, "feedforward_channels": 16}


def emt_frames(number: int, seed: int, offset: float = 0.0, symbols: tuple[str, ...] = ("Cu", "Au")) -> list[Any]:
    """Strained and rattled cells of metals, labelled by EMT; energies ``offset`` eV per atom higher."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(number):
        atoms = bulk("Cu", cubic=True, a=3.8)
        atoms.symbols[:] = rng.choice(symbols, size=4)
        atoms.set_cell(atoms.cell @ (np.eye(3) + rng.normal(scale=0.02, size=(3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(scale=0.08, size=(4, 3))
        atoms.calc = EMT()
        energy = atoms.get_potential_energy() + offset * len(atoms)
        labels = {"energy": energy, "forces": atoms.get_forces(), "stress": atoms.get_stress()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
    return frames
