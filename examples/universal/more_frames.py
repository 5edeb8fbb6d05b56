"""Make further frames, labelled by the teacher: crystals, dynamics, defects and molecules.

    python examples/universal/more_frames.py DATA --teacher nequix-oam-1-pft.pt --out more --pieces 40
    python examples/universal/prepare.py DATA --more more/*.extxyz --out data-2

writes files `more/KIND-NUMBER.extxyz` of some hundred frames, for `--kinds`:

- `substituted`: known crystals and prototypes with elements replaced by chemically near ones, brought to the teacher's
  volume, their atoms relaxed a little; then as they are, strained with relaxed atoms, displaced a little as by a
  phonon, and strained, rescaled and rattled
- `dynamics`: Langevin dynamics at 300 to 3,000 K, of crystals, melts that are quenched, surfaces and packed molecules
- `defects`: surfaces, crystals pulled apart along c, vacancies, interstitials and antisites
- `elements`: elements in lattices and prototypes of other ones, strained, rattled, with vacancies
- `molecules`: molecules distorted, packed, and beside each other
- `polymorphs`: what competes: each element in close-packed and open lattices, and compounds AB and AB2 in theirs, at
  rest, strained, displaced a little, and in volumes about the one at rest

A file depends on its kind, number and `--seed` alone; those that are there are not made again, so that the same command
goes on where it was killed, and several may run at once (`--first`). Compounds of the test are left out. With
`--operator FOLDER`, the folder of a module `fast` with a class `FastTeacher`, the teacher is that operator, and
otherwise `nequix:FILE`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read
from changes import (
    ELEMENTS,
    antisite,
    cleaved,
    enlarged,
    interstitial,
    is_sane,
    lattices,
    plain,
    rattled,
    replaced,
    rescaled,
    slab,
    strained,
    substitute,
    vacancy,
)
from labelling import Tagged, Teacher, at_rest, relaxed_ions, teacher_of, write_piece, written
from moving import dynamics, molecules
from polymorphs import polymorphs
from prepare import is_test
from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY
from pymatgen.core import Element, Structure
from pymatgen.io.ase import AseAtomsAdaptor

Maker = Callable[[list[Atoms], Teacher, np.random.Generator], Iterator[str]]
SEEDS = (
    *("mp-binary-pbe-elasticity-2025.1", "wbm-random-pbe52-equilibrium-2025.1"),
    "alexandria-binary-pbe-phonon-2025.1",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with matcalc_ref and acwf_eos")
    parser.add_argument("--teacher", required=True, help="a potential of nequix")
    parser.add_argument("--operator", type=Path, help="folder of a faster operator of it")
    parser.add_argument("--out", type=Path, default=Path("more"))
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--formulas", nargs="+", default=[], help="of polymorphs; by default at random")
    parser.add_argument("--pieces", type=int, default=40, help="files of each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")

    teacher = teacher_of(options.teacher, options.operator)
    crystals = seeds(options.data)
    makers: dict[str, Maker] = {**KINDS, "polymorphs": partial(polymorphs, formulas=options.formulas)}
    for number in range(options.first, options.first + options.pieces):
        for place, kind in enumerate(KINDS):
            path = options.out / f"{kind}-{options.seed}-{number:04d}.extxyz"
            if kind not in options.kinds or path.is_file():
                continue
            rng = np.random.default_rng((options.seed, place, number))
            write_piece(path, makers[kind](crystals, teacher, rng))


def seeds(data: Path) -> list[Atoms]:
    """Crystals of the Materials Project, WBM and Alexandria, prototypes, and oxides of all elements."""
    found: list[Atoms] = []
    for name in SEEDS:
        with gzip.open(data / "matcalc_ref" / f"{name}.json.gz") as file:
            structures = [record["structure"] for record in json.load(file)]
        found += [
            Atoms(
                [Element(site["species"][0]["element"]).Z for site in each["sites"]],
                positions=[site["xyz"] for site in each["sites"]],
                cell=each["lattice"]["matrix"],
                pbc=True,
            )
            for each in structures
            if len(each["sites"]) <= 16
        ]
    for prototype in AFLOW_PROTOTYPE_LIBRARY:
        structure: Structure = prototype["snl"].structure
        if len(structure) <= 16 and structure.is_ordered:
            found += [plain(AseAtomsAdaptor.get_atoms(structure))] * 12
    return found + [plain(read(path)) for path in sorted((data / "acwf_eos" / "xsf_oxides").glob("*.xsf"))]


def substituted(crystals: list[Atoms], teacher: Teacher, rng: np.random.Generator) -> Iterator[str]:
    """Forty new crystals."""
    new = at_rest([atoms for atoms in new_compounds(crystals, 40, rng) if is_sane(atoms)], teacher)
    sheared = [strained(atoms, 0.012, rng) for atoms in new]
    relaxed_ions(sheared, teacher)
    tagged: list[Tagged] = [(atoms, "sub:eq") for atoms in new] + [(atoms, "sub:strained") for atoms in sheared]
    for atoms in new:
        large = enlarged(atoms, 6)
        tagged.append((rattled(large, rng.choice([0.01, 0.02, 0.03]), rng), "sub:phonon"))
        for _ in range(2):
            other = strained(rescaled(large, rng.uniform(0.88, 1.15)), 0.025, rng)
            tagged.append((rattled(other, rng.choice([0.03, 0.07, 0.12, 0.18]), rng), "sub:d"))
    return written(tagged, teacher)


def new_compounds(crystals: list[Atoms], number: int, rng: np.random.Generator) -> list[Atoms]:
    """Crystals with elements replaced by others, not of the test, at a volume by their covalent radii."""
    new: list[Atoms] = []
    while len(new) < number:
        atoms = crystals[rng.integers(len(crystals))]
        numbers = substitute(atoms.numbers, rng)
        changed = (numbers != atoms.numbers).any() and len(set(numbers.tolist())) > 1
        if changed and set(numbers.tolist()) <= set(ELEMENTS) and not is_test(numbers):
            new.append(replaced(atoms, numbers))
    return new


def elements(crystals: list[Atoms], teacher: Teacher, rng: np.random.Generator) -> Iterator[str]:
    """Thirty lattices of elements."""
    known = lattices()
    new = []
    for _ in range(30):
        atoms = known[rng.choice(list(known))]
        new.append(replaced(atoms, np.full(len(atoms), rng.choice(ELEMENTS))))
    tagged: list[Tagged] = []
    for atoms in at_rest([atoms for atoms in new if is_sane(atoms)], teacher):
        tagged.append((atoms, "elem:eq"))
        tagged += [(rescaled(atoms, rng.uniform(low, low + 0.15)), "elem:v") for low in (0.75, 0.9, 1.05, 1.25)]
        large = enlarged(atoms, 8)
        tagged += [(strained(rattled(large, size, rng), 0.02, rng), "elem:r") for size in (0.02, 0.06, 0.15, 0.25)]
        stretch = rng.uniform(0.85, 1.2)
        other = atoms.copy()
        other.set_cell(atoms.cell.array @ np.diag([stretch**-0.5, stretch**-0.5, stretch]), scale_atoms=True)
        tagged.append((other, "elem:bain"))
        hollow = rattled(large, 0.05, rng)
        del hollow[0]
        tagged.append((hollow, "elem:vac"))
    return written(tagged, teacher)


def defects(crystals: list[Atoms], teacher: Teacher, rng: np.random.Generator) -> Iterator[str]:
    """A hundred and fifty crystals, also new ones, with surfaces and defects."""
    tagged: list[Tagged] = []
    while len(tagged) < 150:
        atoms = crystals[rng.integers(len(crystals))]
        if len(atoms) > 12 or not set(atoms.numbers.tolist()) <= set(ELEMENTS) or is_test(atoms.numbers):
            continue
        kind = rng.choice(["slabc", "slabc", "cleave", "vacc", "antisite", "interstitial"])
        other = DEFECTS[kind](atoms, rng)
        if other is not None and len(other) <= 40:
            tagged.append((rattled(other, rng.choice([0.0, 0.03, 0.08]), rng), kind))
    return written(tagged, teacher)


DEFECTS: dict[str, Callable[[Atoms, np.random.Generator], Atoms | None]] = {
    "slabc": slab,
    "cleave": cleaved,
    "vacc": vacancy,
    "antisite": antisite,
    "interstitial": interstitial,
}
KINDS: dict[str, Maker] = {
    "substituted": substituted,
    "dynamics": dynamics,
    "defects": defects,
    "elements": elements,
    "molecules": molecules,
    "polymorphs": polymorphs,
}

if __name__ == "__main__":
    main()
