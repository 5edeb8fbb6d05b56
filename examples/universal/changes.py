"""Changes of a structure: its size, volume, shape, elements and surfaces; and lattices and prototypes to begin with."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk, surface
from ase.data import covalent_radii as radii
from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY
from pymatgen.core import Element
from pymatgen.io.ase import AseAtomsAdaptor

from torch_gptff.graph import CrystalData
from torch_gptff.graph.neighbors import neighbor_list

NOBLE = {2, 10, 18, 36, 54}
ELEMENTS = [z for z in range(1, 95) if z not in {84, 85, 86, 87, 88}]
MOST_BONDS = 3500
NEAREST = 0.55
"""Smallest distance of two atoms, divided by the sum of their covalent radii."""


def plain(atoms: Atoms) -> Atoms:
    """A copy with atoms and cell only."""
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)


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
