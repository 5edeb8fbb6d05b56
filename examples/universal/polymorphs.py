"""Lattices that compete for an element or a compound, at the teacher's rest and about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers
from ase.formula import Formula
from ase.spacegroup import crystal
from changes import (
    ELEMENTS,
    NOBLE,
    enlarged,
    is_sane,
    lattices,
    plain,
    prototype,
    rattled,
    replaced,
    rescaled,
    strained,
    touching,
)
from labelling import Tagged, Teacher, at_rest, written
from prepare import is_test
from pymatgen.core import Element


def competing() -> dict[int, dict[str, Atoms]]:
    """Lattices that compete for elements, compounds AB and compounds AB2, by the number of elements and the ratio."""
    known = lattices()
    names = ("fcc", "bcc", "hcp", "sc", "diamond")
    double = Atoms("Cu4", scaled_positions=[(0, 0, 0), (1 / 3, 2 / 3, 0.25), (0, 0, 0.5), (2 / 3, 1 / 3, 0.75)],
                   cell=bulk("Cu", "hcp", a=2.55, c=8.26).cell, pbc=True)  # fmt: skip
    layered = Atoms("CuZn" * 2, scaled_positions=[(0, 0, 0), (1 / 3, 2 / 3, 0), (1 / 3, 2 / 3, 0.5), (0, 0, 0.5)],
                    cell=bulk("Cu", "hcp", a=4.0, c=6.6).cell, pbc=True)  # fmt: skip
    arsenide = crystal(
        ["Cu", "Zn"], [(0, 0, 0), (1 / 3, 2 / 3, 0.25)], spacegroup=194, cellpar=[3.6, 3.6, 5.1, 90, 90, 120]
    )
    binary = {name: bulk("CuZn", name, a=4.0) for name in ("rocksalt", "zincblende", "wurtzite", "cesiumchloride")}
    rutile = crystal(["Cu", "Zn"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.6, 4.6, 2.96, 90, 90, 90])
    iodide = crystal(
        ["Cu", "Zn"], [(0, 0, 0), (1 / 3, 2 / 3, 0.25)], spacegroup=164, cellpar=[3.6, 3.6, 5.6, 90, 90, 120]
    )
    quartz = prototype("A2B_hP9_152_c_a")
    quartz.numbers = np.where(quartz.numbers == 14, 29, 30)
    elements = {name: known[name] for name in (*names, "A_hP4_194_bc", "A_tI4_141_a")}  # graphite and white tin
    return {
        0: {**elements, "dhcp": double},
        1: {**binary, "layered": layered, "nickel arsenide": plain(arsenide)},
        2: {
            "fluorite": bulk("CuZn2", "fluorite", a=5.4),
            "rutile": plain(rutile),
            "cadmium iodide": plain(iodide),
            "quartz": quartz,
        },
    }


def charges_fit(one: int, other: int, ratio: int) -> bool:
    """Whether common oxidation states of a metal and of ``ratio`` atoms of another element cancel."""
    states = Element.from_Z(other).common_oxidation_states
    return any(-charge / ratio in states for charge in Element.from_Z(one).common_oxidation_states if charge > 0)


def polymorphs(
    crystals: list[Atoms], teacher: Teacher, rng: np.random.Generator, formulas: Sequence[str] = ()
) -> Iterator[str]:
    """The compositions of the formulas; without any, eight elements, sixteen compounds AB and six AB2."""
    known, new = competing(), []
    compositions = [composition(each) for each in formulas] or random_compositions(rng)
    for ratio, one, other in compositions:
        for atoms in known[ratio].values():
            numbers = np.where(atoms.numbers == 29, one, other)
            if not is_test(numbers):
                new.append(touching(replaced(atoms, numbers)))
    tagged: list[Tagged] = []
    for atoms in at_rest([atoms for atoms in new if is_sane(atoms)], teacher):
        tagged.append((atoms, "poly:eq"))
        tagged += [(rescaled(atoms, rng.uniform(low, low + 0.06)), "poly:v") for low in (0.87, 0.94, 1.0, 1.06)]
        tagged += [(strained(atoms, size, rng), "poly:s") for size in (0.01, 0.03)]
        tagged.append((strained(rattled(enlarged(atoms, 4), 0.04, rng), 0.01, rng), "poly:r"))
    return written(tagged, teacher)


def random_compositions(rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """How many atoms of the second element belong to one of the first, 0 for an element, and both elements.

    In one compound of four, charges do not cancel.
    """
    found = []
    for ratio, count in ((0, 8), (1, 16), (2, 6)):
        for z in rng.choice([x for x in ELEMENTS if x not in NOBLE], count, replace=False).tolist():
            partners = [x for x in ELEMENTS if x not in NOBLE and x != z]
            if rng.random() < 0.75:
                partners = [x for x in partners if charges_fit(z, x, ratio)] if ratio else partners
            if partners:
                found.append((ratio, z, int(rng.choice(partners))))
    return found


def composition(formula: str) -> tuple[int, int, int]:
    """The same of an element, AB or AB2."""
    counts = Formula(formula).count()
    numbers, amounts = [atomic_numbers[symbol] for symbol in counts], list(counts.values())
    if len(numbers) == 1:
        return 0, numbers[0], numbers[0]
    if len(numbers) > 2 or amounts not in ([1, 1], [1, 2]):
        raise SystemExit(f"{formula}: competing lattices are known for elements, AB and AB2 (the one atom first)")
    return amounts[1], numbers[0], numbers[1]
