"""Frames with true labels: metals in the effective-medium potential, whose forces and stress derive from its energy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from torch_gptff.datasets.frames import make_frame
from torch_gptff.graph import CrystalData

METALS = ("Cu", "Ag", "Au", "Ni", "Pd", "Pt", "Al")


def emt_atoms(seed: int, n_cells: int = 1) -> Atoms:
    """A cubic cell of two metals, strained, rattled, and labelled by EMT."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", cubic=True, a=3.9) * (n_cells, 1, 1)
    atoms.symbols[:] = rng.choice(METALS[seed % 3 : seed % 3 + 3], size=len(atoms))
    atoms.set_cell(atoms.cell @ (np.eye(3) + rng.normal(scale=0.02, size=(3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(scale=0.05, size=(len(atoms), 3))
    return labelled(atoms)


def labelled(atoms: Atoms) -> Atoms:
    """The same atoms with energy, forces and stress of EMT, as a file would give them."""
    atoms.calc = EMT()
    results = {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(),
        "stress": atoms.get_stress(),
    }
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def as_frame(atoms: Atoms, **origin: str) -> CrystalData:
    """The frame of labelled atoms."""
    given = {"source": "emt", "frame_id": "frame", "where": "test", **origin}
    return make_frame(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, **atoms.calc.results, **given)


@pytest.fixture(scope="session")
def metals() -> list[Atoms]:
    """Twelve labelled cells of four and eight atoms."""
    return [emt_atoms(seed, 1 + seed % 2) for seed in range(12)]


@pytest.fixture
def frames(metals: list[Atoms]) -> list[CrystalData]:
    """Their frames, from two sources."""
    return [
        as_frame(atoms, source="one" if k < 6 else "two", frame_id=f"metal-{k}", split="train" if k % 3 else "test")
        for k, atoms in enumerate(metals)
    ]


@pytest.fixture
def make_atoms() -> Callable[..., Atoms]:
    """:func:`emt_atoms`, for tests that want more."""
    return emt_atoms


@pytest.fixture
def emt_labelled() -> Callable[[Atoms], Atoms]:
    """:func:`labelled`, for tests with atoms of their own."""
    return labelled


@pytest.fixture
def to_frame() -> Callable[..., CrystalData]:
    """:func:`as_frame`."""
    return as_frame
