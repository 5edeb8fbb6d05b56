"""Sixty crystals of 1 to 108 atoms, metallic, ionic, layered and molecular, strained and rattled from fixed seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import read
from ase.spacegroup import crystal

KINDS = ("metallic", "ionic", "layered", "molecular")
OLIVINE = Path(__file__).parent.parent / "examples" / "structures" / "LiFePO4.cif"
Made = Callable[[], Atoms]


def sixty_crystals() -> dict[str, tuple[str, Atoms]]:
    """By name, the kind of each crystal, and its atoms off their places by 0.05 Å in a cell strained by some 2 %."""
    made = {"metallic": METALLIC, "ionic": IONIC, "layered": LAYERED, "molecular": MOLECULAR}
    named = [(name, kind, make) for kind, each in made.items() for name, make in each.items()]
    return {name: (kind, disturbed(make(), seed)) for seed, (name, kind, make) in enumerate(named)}


def disturbed(atoms: Atoms, seed: int) -> Atoms:
    """The same crystal with a strained cell and rattled atoms."""
    random = np.random.default_rng(seed)
    moved = atoms.copy()
    strain = np.eye(3) + 0.02 * random.normal(size=(3, 3))
    moved.set_cell(moved.cell.array @ strain, scale_atoms=True)
    moved.positions += random.normal(scale=0.05, size=(len(atoms), 3))
    return moved


def _cubic(a: float) -> list[float]:
    return [a, a, a, 90, 90, 90]


def _hexagonal(a: float, c: float) -> list[float]:
    return [a, a, c, 90, 90, 120]


def _of(symbols: str, sites: list[tuple[float, float, float]], group: int, cell: list[float], **options: int) -> Atoms:
    return crystal(symbols.split(), sites, spacegroup=group, cellpar=cell, **options)


def _without(atoms: Atoms, *numbers: int) -> Atoms:
    del atoms[list(numbers)]
    return atoms


def _alloy(atoms: Atoms, other: str, every: int) -> Atoms:
    atoms.symbols[::every] = other
    return atoms


METALLIC: dict[str, Made] = {
    "Cu": lambda: bulk("Cu"),
    "Na": lambda: bulk("Na"),
    "W": lambda: bulk("W", cubic=True),
    "Ti": lambda: bulk("Ti"),
    "Mg 16": lambda: bulk("Mg") * 2,
    "NiAl": lambda: bulk("NiAl", "cesiumchloride", a=2.89),
    "Cu3Au": lambda: _of("Au Cu", [(0, 0, 0), (0, 0.5, 0.5)], 221, _cubic(3.75)),
    "MgZn2": lambda: _of(
        "Mg Zn Zn", [(1 / 3, 2 / 3, 0.062), (0, 0, 0), (0.83, 0.66, 0.25)], 194, _hexagonal(5.22, 8.57)
    ),
    "LaNi5": lambda: _of("La Ni Ni", [(0, 0, 0), (1 / 3, 2 / 3, 0), (0.5, 0, 0.5)], 191, _hexagonal(5.02, 3.98)),
    "Nb3Sn": lambda: _of("Sn Nb", [(0, 0, 0), (0.25, 0, 0.5)], 223, _cubic(5.29)),
    "Al vacancy 31": lambda: _without(bulk("Al", cubic=True) * 2, 0),
    "Fe vacancy 53": lambda: _without(bulk("Fe", cubic=True) * 3, 0),
    "CuNi 64": lambda: _alloy(bulk("Cu", a=3.6) * 4, "Ni", 3),
    "Mn 58": lambda: _of(
        "Mn Mn Mn Mn", [(0, 0, 0), (0.317, 0.317, 0.317), (0.357, 0.357, 0.034), (0.089, 0.089, 0.282)], 217,
        _cubic(8.91),
    ),
    "TiAl 108": lambda: _alloy(bulk("Al", cubic=True) * 3, "Ti", 2),
}  # fmt: skip

IONIC: dict[str, Made] = {
    "MgO": lambda: bulk("MgO", "rocksalt", a=4.21),
    "CsCl": lambda: bulk("CsCl", "cesiumchloride", a=4.12),
    "CaF2": lambda: bulk("CaF2", "fluorite", a=5.46),
    "ZnO": lambda: bulk("ZnO", "wurtzite", a=3.25, c=5.2),
    "SrTiO3": lambda: _of("Sr Ti O", [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)], 221, _cubic(3.905)),
    "TiO2": lambda: _of("Ti O", [(0, 0, 0), (0.305, 0.305, 0)], 136, [4.594, 4.594, 2.959, 90, 90, 90]),
    "Al2O3": lambda: _of("Al O", [(0, 0, 0.352), (0.306, 0, 0.25)], 167, _hexagonal(4.76, 12.99)),
    "SiO2": lambda: _of("Si O", [(0.47, 0, 1 / 3), (0.413, 0.267, 0.214)], 152, _hexagonal(4.91, 5.40)),
    "MgAl2O4": lambda: _of(
        "Mg Al O", [(0.125, 0.125, 0.125), (0.5, 0.5, 0.5), (0.2625, 0.2625, 0.2625)], 227, _cubic(8.083), setting=2
    ),
    "LiFePO4": lambda: read(OLIVINE),
    "MgSiO3": lambda: _of(
        "Mg Si O O", [(0.556, 0.25, 0.514), (0, 0, 0.5), (0.466, 0.25, 0.103), (0.201, 0.553, 0.196)], 62,
        [4.93, 6.90, 4.78, 90, 90, 90],
    ),
    "ZrO2": lambda: _of(
        "Zr O O", [(0.275, 0.040, 0.208), (0.070, 0.332, 0.345), (0.450, 0.757, 0.479)], 14,
        [5.15, 5.21, 5.32, 90, 99.2, 90],
    ),
    "NaCl vacancies 62": lambda: _without(bulk("NaCl", "rocksalt", a=5.64, cubic=True) * 2, 0, 33),
    "CaCO3": lambda: _of("Ca C O", [(0, 0, 0), (0, 0, 0.25), (0.257, 0, 0.25)], 167, _hexagonal(4.99, 17.06)),
    "Y2O3 80": lambda: _of(
        "Y Y O", [(0.25, 0.25, 0.25), (0.968, 0, 0.25), (0.391, 0.152, 0.380)], 206, _cubic(10.60)
    ),
}  # fmt: skip

LAYERED: dict[str, Made] = {
    "graphite": lambda: _of("C C", [(0, 0, 0.25), (1 / 3, 2 / 3, 0.25)], 194, _hexagonal(2.46, 6.71)),
    "BN": lambda: _of("B N", [(1 / 3, 2 / 3, 0.25), (1 / 3, 2 / 3, 0.75)], 194, _hexagonal(2.50, 6.66)),
    "MoS2": lambda: _of("Mo S", [(1 / 3, 2 / 3, 0.25), (1 / 3, 2 / 3, 0.621)], 194, _hexagonal(3.16, 12.30)),
    "WSe2 54": lambda: _of("W Se", [(1 / 3, 2 / 3, 0.25), (1 / 3, 2 / 3, 0.621)], 194, _hexagonal(3.28, 12.96))
    * (3, 3, 1),
    "CdI2": lambda: _of("Cd I", [(0, 0, 0), (1 / 3, 2 / 3, 0.25)], 164, _hexagonal(4.24, 6.84)),
    "Mg(OH)2": lambda: _of(
        "Mg O H", [(0, 0, 0), (1 / 3, 2 / 3, 0.22), (1 / 3, 2 / 3, 0.42)], 164, _hexagonal(3.15, 4.77)
    ),
    "Bi2Te3": lambda: _of("Bi Te Te", [(0, 0, 0.4), (0, 0, 0), (0, 0, 0.209)], 166, _hexagonal(4.38, 30.5)),
    "LiCoO2": lambda: _of("Li Co O", [(0, 0, 0.5), (0, 0, 0), (0, 0, 0.26)], 166, _hexagonal(2.82, 14.05)),
    "V2O5": lambda: _of(
        "V O O O", [(0.101, 0.25, 0.892), (0.104, 0.25, 0.531), (0.931, 0.25, 0.003), (0.25, 0.25, 0.001)], 59,
        [11.51, 3.56, 4.37, 90, 90, 90], setting=2,
    ),
    "BiOCl": lambda: _of(
        "Bi O Cl", [(0.25, 0.25, 0.171), (0.75, 0.25, 0), (0.25, 0.25, 0.645)], 129, [3.89, 3.89, 7.37, 90, 90, 90],
        setting=2,
    ),
    "FeSe": lambda: _of(
        "Fe Se", [(0.75, 0.25, 0), (0.25, 0.25, 0.267)], 129, [3.77, 3.77, 5.52, 90, 90, 90], setting=2
    ),
    "black P": lambda: _of("P", [(0, 0.090, 0.098)], 64, [3.31, 10.48, 4.37, 90, 90, 90], setting=1),
    "SnS": lambda: _of("Sn S", [(0.119, 0.25, 0.119), (0.849, 0.25, 0.480)], 62, [11.2, 3.99, 4.33, 90, 90, 90]),
    "CrCl3": lambda: _of("Cr Cl", [(0, 0, 0.333), (0.65, 0, 0.076)], 148, _hexagonal(5.96, 17.5)),
    "graphite 96": lambda: _of("C C", [(0, 0, 0.25), (1 / 3, 2 / 3, 0.25)], 194, _hexagonal(2.46, 6.71)) * (6, 4, 1),
}  # fmt: skip


def _molecular(name: str, number: int, side: float, seed: int) -> Atoms:
    """A cube of so many molecules on a lattice of the given side in Å, each turned at random."""
    random = np.random.default_rng(seed)
    packed = Atoms(cell=[side * number] * 3, pbc=True)
    for place in np.ndindex(number, number, number):
        one = molecule(name)
        one.euler_rotate(*(random.random(3) * (360, 180, 360)))
        one.translate(np.array(place) * side - one.get_center_of_mass())
        packed += one
    return packed


def _face_centred(name: str, a: float, seed: int) -> Atoms:
    """Four molecules on a face-centred cubic lattice, each turned at random."""
    random = np.random.default_rng(seed)
    packed = Atoms(cell=[a] * 3, pbc=True)
    for place in ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)):
        one = molecule(name)
        one.euler_rotate(*(random.random(3) * (360, 180, 360)))
        one.translate(np.array(place) * a - one.get_center_of_mass())
        packed += one
    return packed


MOLECULAR: dict[str, Made] = {
    "CO2": lambda: _of("C O", [(0, 0, 0), (0.119, 0.119, 0.119)], 205, _cubic(5.62)),
    "N2": lambda: _of("N", [(0.056, 0.056, 0.056)], 205, _cubic(5.65)),
    "I2": lambda: _of("I", [(0, 0.154, 0.117)], 64, [7.27, 4.79, 9.79, 90, 90, 90]),
    "Cl2": lambda: _of("Cl", [(0, 0.117, 0.102)], 64, [6.15, 4.45, 8.15, 90, 90, 90]),
    "ice": lambda: _of(
        "O O H H H H",
        [(0, 0.664, 0.063), (0.5, 0.835, 0.937), (0, 0.664, 0.197), (0, 0.535, 0.018), (0.5, 0.835, 0.803),
         (0.323, 0.765, 0.980)],
        36, [4.5, 7.8, 7.33, 90, 90, 90],
    ),
    "NH3": lambda: _of(
        "N H", [(0.210, 0.210, 0.210), (0.370, 0.265, 0.110)], 198, _cubic(5.13)
    ),
    "urea": lambda: _of(
        "C O N H H",
        [(0, 0.5, 0.328), (0, 0.5, 0.596), (0.145, 0.645, 0.179), (0.257, 0.757, 0.285), (0.144, 0.644, 0.967)],
        113, [5.57, 5.57, 4.68, 90, 90, 90],
    ),
    "benzene": lambda: _of(
        "C C C H H H",
        [(-0.057, 0.139, -0.005), (-0.135, 0.046, 0.126), (-0.077, -0.092, 0.130), (-0.098, 0.246, -0.008),
         (-0.240, 0.080, 0.222), (-0.137, -0.163, 0.231)],
        61, [7.36, 9.38, 6.78, 90, 90, 90],
    ),
    "C2H2": lambda: _of("C H", [(0.056, 0.056, 0.056), (0.156, 0.156, 0.156)], 205, _cubic(6.11)),
    "CH4": lambda: _face_centred("CH4", 5.85, 0),
    "methanol": lambda: _face_centred("CH3OH", 6.0, 1),
    "SiH4": lambda: _face_centred("SiH4", 6.9, 2),
    "H2O 24": lambda: _molecular("H2O", 2, 3.2, 3),
    "SO2 24": lambda: _molecular("SO2", 2, 4.2, 4),
    "ethane 64": lambda: _molecular("C2H6", 2, 4.6, 5),
}  # fmt: skip
