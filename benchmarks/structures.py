"""The crystals that are measured: rattled by 0.05 Å from a fixed seed, so that every opponent sees the same atoms."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal

STANDARD = ("Si 64", "NaCl 216", "Ti 250", "Cu 500", "Ti 1024")
RATTLE = 0.05
"""Å"""


def structure(name: str, seed: int = 0) -> Atoms:
    """A cube of unit cells by its name, ``"Cu 500"``, rattled; another seed moves the same atoms elsewhere.

    Raises:
        ValueError: no such crystal, or no cube of its unit cells has so many atoms.
    """
    kind, number = name.split()
    cell = unit_cell(kind)
    side = round((int(number) / len(cell)) ** (1 / 3))
    if side < 1 or len(cell) * side**3 != int(number):
        near = ", ".join(f"{len(cell) * each**3}" for each in (side, side + 1) if each)
        raise ValueError(f"no cube of {kind} cells has {number} atoms; there are {near}")
    return rattled(cell * side, seed)


def nearest_name(kind: str, n_atoms: int) -> str:
    """The name of the cube whose number of atoms is nearest to the one wanted."""
    n_cell = len(unit_cell(kind))
    sizes = (n_cell * side**3 for side in range(1, 2 + round((n_atoms / n_cell) ** (1 / 3))))
    return f"{kind} {min(sizes, key=lambda size: abs(size - n_atoms))}"


def unit_cell(kind: str) -> Atoms:
    """Si (diamond, 8 atoms), NaCl (rocksalt, 8), Ti (hcp, 2) or Cu (fcc, 4)."""
    if kind == "NaCl":
        return bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    if kind in ("Si", "Cu"):
        return bulk(kind, cubic=True)
    if kind == "Ti":
        return bulk("Ti")
    raise ValueError(f"no crystal {kind!r}; there are Si, NaCl, Ti, Cu")


def rattled(atoms: Atoms, seed: int) -> Atoms:
    """A copy whose atoms are moved by normally distributed displacements."""
    moved = atoms.copy()
    moved.positions += np.random.default_rng(seed).normal(scale=RATTLE, size=(len(atoms), 3))
    return moved


def mixed_crystals() -> list[Atoms]:
    """Sixteen crystals of 2 to 60 atoms, of metals, semiconductors, salts and oxides, cubic and not."""
    perovskite = crystal(
        ["Sr", "Ti", "O"], [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)], spacegroup=221, cellpar=[3.905] * 3 + [90] * 3
    )
    rutile = crystal(
        ["Ti", "O"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90]
    )
    spinel = crystal(
        ["Mg", "Al", "O"],
        [(0.125, 0.125, 0.125), (0.5, 0.5, 0.5), (0.2625, 0.2625, 0.2625)],
        spacegroup=227,
        setting=2,
        cellpar=[8.083] * 3 + [90] * 3,
        primitive_cell=True,
    )
    crystals = [
        bulk("MgO", "rocksalt", a=4.21),
        bulk("Ti"),
        perovskite,
        rutile,
        bulk("Si", cubic=True),
        bulk("CaF2", "fluorite", a=5.46, cubic=True),
        spinel,
        bulk("W", cubic=True) * 2,
        bulk("CsCl", "cesiumchloride", a=4.12) * 2,
        bulk("Ni") * 3,
        bulk("ZnO", "wurtzite", a=3.25, c=5.2) * 2,
        bulk("GaAs", "zincblende", a=5.65, cubic=True) * (2, 2, 1),
        perovskite * 2,
        rutile * 2,
        bulk("Fe", cubic=True) * 3,
        bulk("LiCl", "rocksalt", a=5.13, cubic=True) * (1, 1, 7),
    ]
    return [rattled(atoms, seed) for seed, atoms in enumerate(crystals)]
