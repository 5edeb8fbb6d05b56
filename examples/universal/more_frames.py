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
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk, molecule, surface
from ase.collections import g2
from ase.data import atomic_masses, atomic_numbers, chemical_symbols
from ase.data import covalent_radii as radii
from ase.formula import Formula
from ase.io import read
from ase.spacegroup import crystal
from ase.stress import voigt_6_to_full_3x3_stress
from prepare import is_test
from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY
from pymatgen.core import Element, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from torch_gptff.graph import CrystalData
from torch_gptff.graph.neighbors import neighbor_list
from torch_gptff.io.files import written_atomically
from torch_gptff.training.distillation.teachers import make_teacher

Label = tuple[float, np.ndarray, np.ndarray]
"""Energy, eV; forces, eV/Å; stress, eV/Å³, 3×3, positive = tensile."""

Teacher = Callable[[list[Atoms]], list[Label]]
Tagged = tuple[Atoms, str]
Maker = Callable[[list[Atoms], Teacher, np.random.Generator], Iterator[str]]

NOBLE = {2, 10, 18, 36, 54}
ELEMENTS = [z for z in range(1, 95) if z not in {84, 85, 86, 87, 88}]
SEEDS = (
    *("mp-binary-pbe-elasticity-2025.1", "wbm-random-pbe52-equilibrium-2025.1"),
    "alexandria-binary-pbe-phonon-2025.1",
)
MOST_BONDS = 3500
MOST_FORCE, MOST_STRESS = 40.0, 0.9
NEAREST = 0.55
"""Smallest distance of two atoms, divided by the sum of their covalent radii."""


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
            began = time.time()
            rng = np.random.default_rng((options.seed, place, number))
            lines = [frame for frame in makers[kind](crystals, teacher, rng) if frame]
            with written_atomically(path) as temporary:
                temporary.write_text("".join(lines), encoding="utf-8")
            print(f"{path}: {len(lines)} frames, {time.time() - began:.0f} s", flush=True)


def teacher_of(file: str, operator: Path | None) -> Teacher:
    """Function that labels many structures at once."""
    if operator is not None:
        sys.path.insert(0, str(operator))
        fast: Any = __import__("fast").FastTeacher(file)
        return lambda structures: [label for batch in batches(structures) for label in fast(batch)[0]]
    slow = make_teacher(f"nequix:{file}")

    def labels(structures: list[Atoms]) -> list[Label]:
        nothing = float("nan"), np.full(3, np.nan), np.full((3, 3), np.nan)
        return [
            nothing if isinstance(each, str) else (each.energy, each.forces, voigt_6_to_full_3x3_stress(each.stress))
            for each in slow.label_all(structures)
        ]

    return labels


def batches(structures: list[Atoms], most: int = 1000) -> Iterator[list[Atoms]]:
    """Batches of structures with at most this number of atoms."""
    taken: list[Atoms] = []
    for atoms in structures:
        if taken and sum(map(len, taken)) + len(atoms) > most:
            yield taken
            taken = []
        taken.append(atoms)
    if taken:
        yield taken


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


def plain(atoms: Atoms) -> Atoms:
    """A copy with atoms and cell only."""
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)


# Changes of a structure


def enlarged(atoms: Atoms, least: int) -> Atoms:
    """A supercell with enough atoms, repeated along its shortest vectors."""
    while len(atoms) < least:
        times = [1, 1, 1]
        times[int(np.argmin(atoms.cell.lengths()))] = 2
        atoms = atoms.repeat(times)
    return atoms


def rescaled(atoms: Atoms, factor: float) -> Atoms:
    """A copy with another volume."""
    other = atoms.copy()
    other.set_cell(atoms.cell.array * factor ** (1 / 3), scale_atoms=True)
    return other


def touching(atoms: Atoms) -> Atoms:
    """The same at the volume at which the nearest atoms are as far apart as their covalent radii say."""
    edges, _, lengths = neighbor_list(CrystalData.from_ase(atoms), 6.0)
    ends = atoms.numbers[edges.numpy()]
    return rescaled(atoms, float((lengths.numpy() / radii[ends].sum(axis=0)).min()) ** -3) if len(lengths) else atoms


def strained(atoms: Atoms, size: float, rng: np.random.Generator) -> Atoms:
    """A copy with a random strain of this root mean square."""
    strain, other = rng.normal(0, size, (3, 3)), atoms.copy()
    other.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    return other


def rattled(atoms: Atoms, size: float, rng: np.random.Generator) -> Atoms:
    """A copy with normal displacements of this standard deviation along each axis, Å."""
    other = atoms.copy()
    other.positions += rng.normal(0, size, other.positions.shape)
    return other


def is_sane(atoms: Atoms) -> bool:
    """Whether no two atoms are too near, and there are not too many bonds to 6 Å."""
    edges, _, lengths = neighbor_list(CrystalData.from_ase(atoms), 6.0)
    if edges.shape[1] > MOST_BONDS:
        return False
    touching = radii[atoms.numbers[edges[0].numpy()]] + radii[atoms.numbers[edges[1].numpy()]]
    return not len(lengths) or bool((lengths.numpy() > NEAREST * touching).all())


def relaxed_ions(structures: list[Atoms], teacher: Teacher, steps: int = 12) -> None:
    """Relax the atoms by a few damped steps, in place."""
    velocities = [np.zeros((len(atoms), 3)) for atoms in structures]
    for _ in range(steps):
        for atoms, velocity, (_, forces, _) in zip(structures, velocities, teacher(structures), strict=True):
            velocity[:] = 0.5 * velocity + 0.02 * np.clip(np.nan_to_num(forces), -6, 6)
            velocity[(velocity * forces).sum(axis=1) < 0] = 0
            atoms.positions += np.clip(velocity, -0.12, 0.12)


def at_rest(structures: list[Atoms], teacher: Teacher, steps: int = 9) -> list[Atoms]:
    """Structures relaxed near to zero stress and zero forces of the teacher; others are left out.

    A volume changes by its pressure over twice a typical bulk modulus; where the pressure changes its sign, the crystal
    is stiffer than that, and the step is halved from then on.
    """
    softness = np.full(len(structures), 1 / 0.6)
    before = np.zeros(len(structures))
    for step in range(steps):
        near: list[Atoms] = []
        kept: list[int] = []
        for place, (atoms, (_, forces, stress)) in enumerate(zip(structures, teacher(structures), strict=True)):
            pressure = np.trace(stress) / 3
            is_last = step == steps - 1
            if not np.isfinite(pressure) or not np.isfinite(forces).all() or (is_last and abs(pressure) > 0.05):
                continue
            if pressure * before[place] < 0:
                softness[place] /= 2
            before[place] = pressure
            if not is_last and abs(pressure) > 0.006:
                atoms = rescaled(atoms, 1 - float(np.clip(pressure * softness[place], -0.12, 0.12)))
            if is_sane(atoms):
                near.append(atoms)
                kept.append(place)
        structures, softness, before = near, softness[kept], before[kept]
    relaxed_ions(structures, teacher)
    return [atoms for atoms in structures if is_sane(atoms)]


def written(tagged: list[Tagged], teacher: Teacher) -> Iterator[str]:
    """Frames in extended XYZ of those structures that have ordinary labels and are not of the test."""
    kept = [(atoms, kind) for atoms, kind in tagged if not is_test(atoms.numbers) and is_sane(atoms)]
    for (atoms, kind), label in zip(kept, teacher([atoms for atoms, _ in kept]), strict=True):
        yield frame(atoms, kind, label)


def frame(atoms: Atoms, kind: str, label: Label) -> str:
    """A frame in extended XYZ; nothing where its labels are beyond the limits."""
    energy, forces, stress = label
    ordinary = np.isfinite(energy) and np.abs(forces).max() < MOST_FORCE and np.abs(stress).max() < MOST_STRESS
    if not ordinary:
        return ""
    cell = " ".join(f"{value:.6f}" for value in atoms.cell.array.flat)
    tensor = " ".join(f"{value:.7f}" for value in stress.flat)
    head = (
        f'{len(atoms)}\nLattice="{cell}" Properties=species:S:1:pos:R:3:REF_forces:R:3 REF_energy={energy:.6f} '
        f'REF_stress="{tensor}" config_type="{kind}" pbc="T T T"\n'
    )
    rows = zip(atoms.numbers, atoms.positions, forces, strict=True)
    return head + "".join(
        f"{chemical_symbols[z]} {x:.5f} {y:.5f} {w:.5f} {a:.5f} {b:.5f} {c:.5f}\n" for z, (x, y, w), (a, b, c) in rows
    )


# Kinds


def near(number: int) -> int:
    """The group of an element; that of scandium for lanthanides and actinides."""
    element = Element.from_Z(number)
    return 3 if element.is_lanthanoid or element.is_actinoid else element.group


def substitute(numbers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The elements replaced by others of their group, or for metals of groups near by."""
    new: dict[int, int] = {}
    for z in sorted(set(numbers.tolist())):
        group = near(z)
        if z in ELEMENTS and z not in NOBLE and rng.random() < 0.25:
            new[z] = z
            continue
        fit = [
            x
            for x in ELEMENTS
            if x not in NOBLE and x not in new.values()
            and (near(x) == group or (3 <= group <= 13 and 3 <= near(x) <= 14 and abs(near(x) - group) <= 3))
        ]  # fmt: skip
        new[z] = int(rng.choice(fit)) if fit else z
    return np.array([new[z] for z in numbers.tolist()])


def replaced(atoms: Atoms, numbers: np.ndarray) -> Atoms:
    """A copy with other elements in the same places, and a volume by their covalent radii."""
    other = Atoms(numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    return rescaled(other, float((radii[numbers] ** 3).sum() / (radii[atoms.numbers] ** 3).sum()))


def substituted(crystals: list[Atoms], teacher: Teacher, rng: np.random.Generator) -> Iterator[str]:
    """Forty new crystals."""
    new: list[Atoms] = []
    while len(new) < 40:
        atoms = crystals[rng.integers(len(crystals))]
        numbers = substitute(atoms.numbers, rng)
        changed = (numbers != atoms.numbers).any() and len(set(numbers.tolist())) > 1
        if changed and set(numbers.tolist()) <= set(ELEMENTS) and not is_test(numbers):
            new.append(replaced(atoms, numbers))
    new = at_rest([atoms for atoms in new if is_sane(atoms)], teacher)
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


def prototype(name: str) -> Atoms:
    """A structure type by its name in AFLOW's library."""
    (structure,) = (each["snl"].structure for each in AFLOW_PROTOTYPE_LIBRARY if each["tags"]["aflow"] == name)
    return plain(AseAtomsAdaptor.get_atoms(structure))


def lattices() -> dict[str, Atoms]:
    """Lattices of elements."""
    found = {name: bulk("Cu", name, a=3.6) for name in ("fcc", "bcc", "sc", "diamond")}
    found["hcp"] = bulk("Cu", "hcp", a=2.55, c=4.13)
    for prototype in AFLOW_PROTOTYPE_LIBRARY:
        structure = prototype["snl"].structure
        if len(structure.composition) == 1 and len(structure) <= 12 and structure.is_ordered:
            found[prototype["tags"]["aflow"]] = plain(AseAtomsAdaptor.get_atoms(structure))
    return found


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


def slab(atoms: Atoms, rng: np.random.Generator) -> Atoms | None:
    """A surface of a random low index."""
    index = [(1, 0, 0), (1, 1, 0), (1, 1, 1), (0, 0, 1), (1, 0, 1)][rng.integers(5)]
    layers = 1 if len(atoms) > 4 else int(rng.integers(1, 4))
    try:
        cut = surface(atoms, index, layers, vacuum=rng.uniform(2.5, 5))
    except (ValueError, ZeroDivisionError):
        return None
    return plain(cut)


def cleaved(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """A crystal pulled apart or compressed along c."""
    cell, other = atoms.cell.array.copy(), atoms.copy()
    cell[2] *= rng.choice([0.95, 1.04, 1.08, 1.15, 1.3, 1.6])
    other.set_cell(cell)
    return other


def vacancy(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """A copy without one atom."""
    large = enlarged(atoms, 8)
    del large[int(rng.integers(len(large)))]
    return large


def antisite(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """A copy with two atoms exchanged."""
    large = enlarged(atoms, 8).copy()
    i, j = rng.choice(len(large), 2, replace=False)
    numbers = large.numbers.copy()
    numbers[[i, j]] = numbers[[j, i]]
    large.numbers = numbers
    return large


def interstitial(atoms: Atoms, rng: np.random.Generator) -> Atoms | None:
    """A copy with one atom more, of an element of the crystal, in a large enough hole."""
    large = enlarged(atoms, 8)
    z = int(rng.choice(large.numbers))
    for _ in range(30):
        other = large + Atoms([z], [rng.random(3) @ large.cell.array])
        touching = radii[z] + radii[large.numbers]
        if (other.get_distances(-1, range(len(large)), mic=True) > 0.75 * touching).all():
            return other
    return None


DEFECTS: dict[str, Callable[[Atoms, np.random.Generator], Atoms | None]] = {
    "slabc": slab,
    "cleave": cleaved,
    "vacc": vacancy,
    "antisite": antisite,
    "interstitial": interstitial,
}


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
    """Langevin dynamics (BAOAB) of 2 fs a step, 1 fs with hydrogen; a frame of each structure every so many steps."""
    masses = [atomic_masses[atoms.numbers][:, None] for atoms in chosen]
    timesteps = [(1.0 if 1 in atoms.numbers else 2.0) * units.fs for atoms in chosen]
    velocities = [
        rng.normal(size=(len(atoms), 3)) * np.sqrt(2 * units.kB * atoms.info["temperature"] / mass)
        for atoms, mass in zip(chosen, masses, strict=True)
    ]
    forces = [np.clip(np.nan_to_num(label[1]), -60, 60) for label in teacher(chosen)]
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
        labels = teacher(chosen)
        forces = [np.clip(np.nan_to_num(label[1]), -60, 60) for label in labels]
        for mass, dt, velocity, force in zip(masses, timesteps, velocities, forces, strict=True):
            velocity += dt / 2 * force / mass
        if step % interval == 0:
            for atoms, label in zip(chosen, labels, strict=True):
                snapshot = atoms.copy()
                snapshot.wrap()
                yield frame(snapshot, f"md:{atoms.info['temperature']:.0f}", label)


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
