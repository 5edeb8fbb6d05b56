"""Small labelled sets of targets beyond the energy: magnetic moments of crystals, and gaps of molecules.

    python benchmarks/target_frames.py moments mp-binary-pbe-elasticity-2025.1.json.gz moments.extxyz
    python benchmarks/target_frames.py gaps gaps.extxyz --number 1500

The first needs `pip install chgnet`, the second `pip install rdkit tblite`.

`moments`: crystals of MatCalc's benchmark data with V, Cr, Mn, Fe, Co or Ni, each as it is and once with atoms moved at
random by 0.05 Å and the cell strained by up to 2 %. Their moments, `moment` in µB, are those that CHGNet predicts,
which has learned magnitudes from DFT (PBE+U). One formula in ten is for the test, one in twenty for validation.

`gaps`: molecules of up to eight atoms of C, N, O and F, and hydrogen: random trees of bonds, some of them double, in
the geometry of the force field MMFF94. Their gaps between the highest occupied and the lowest empty orbital, `gap` in
eV, are those of GFN2-xTB. One molecule in ten is for the test, one in twenty for validation.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

MAGNETIC = {"V", "Cr", "Mn", "Fe", "Co", "Ni"}
VALENCES = {"C": 4, "N": 3, "O": 2, "F": 1}
MOST_ATOMS = 40
"""Largest number of atoms in a cell."""


def part_of(name: str) -> str:
    """The part of a formula or molecule, by its hash."""
    place = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 20
    return "test" if place < 2 else "validation" if place == 2 else "train"


def magnetic_crystals(path: Path, seed: int = 0) -> Iterator[Atoms]:
    """Crystals of a file of MatCalc with magnetic elements, each as it is and once distorted."""
    rng = np.random.default_rng(seed)
    for entry in json.loads(gzip.decompress(path.read_bytes())):
        structure = Structure.from_dict(entry["structure"])
        if not MAGNETIC & {each.symbol for each in structure.elements} or len(structure) > MOST_ATOMS:
            continue
        atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
        moved = atoms.copy()
        strain = rng.uniform(-0.02, 0.02, (3, 3))
        moved.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        moved.positions += rng.normal(0, 0.05, moved.positions.shape)
        for each in (atoms, moved):
            each.info = {"material": structure.composition.reduced_formula}
            each.info["split"] = part_of(each.info["material"])
            yield each


def with_moments(frames: list[Atoms]) -> list[Atoms]:
    """The frames with moments by CHGNet."""
    from chgnet.model import CHGNet

    model = CHGNet.load(use_device="cpu", verbose=False)
    for number, atoms in enumerate(frames):
        found = model.predict_structure(AseAtomsAdaptor.get_structure(atoms), task="m")
        atoms.set_array("moment", np.asarray(found["m"], dtype=float))
        if number % 200 == 0:
            print(f"{number} of {len(frames)}", flush=True)
    return frames


def random_smiles(rng: np.random.Generator) -> str:
    """A random tree of 4 to 8 atoms, a fifth of its bonds double where valences allow."""
    elements = rng.choice(list(VALENCES), p=[0.65, 0.15, 0.15, 0.05], size=rng.integers(4, 9))
    elements[0] = "C"
    free = [VALENCES[each] for each in elements]
    bonds: list[list[str]] = [[] for _ in elements]  # branches of each atom, written last
    parents: list[tuple[int, str]] = []
    for new in range(1, len(elements)):
        old = rng.choice([each for each in range(new) if free[each] > 0] or [-1])
        if old < 0:
            elements, free = elements[:new], free[:new]
            break
        order = 2 if rng.random() < 0.2 and free[old] > 1 and free[new] > 1 else 1
        free[old] -= order
        free[new] -= order
        parents.append((int(old), "=" if order == 2 else ""))
    for new in range(len(elements) - 1, 0, -1):  # leaves first
        old, sign = parents[new - 1]
        bonds[old].append(f"({sign}{elements[new]}{''.join(bonds[new])})")
    return elements[0] + "".join(bonds[0])


def molecules_with_gaps(number: int, seed: int = 0) -> Iterator[Atoms]:
    """Different molecules with gaps by GFN2-xTB."""
    from rdkit import Chem
    from rdkit.Chem import AllChem
    from tblite.interface import Calculator

    rng = np.random.default_rng(seed)
    seen: set[str] = set()
    while len(seen) < number:
        smiles = Chem.MolToSmiles(Chem.MolFromSmiles(random_smiles(rng)))
        if smiles in seen:
            continue
        molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
        if AllChem.EmbedMolecule(molecule, randomSeed=seed) or AllChem.MMFFOptimizeMolecule(molecule, maxIters=2000):
            continue
        seen.add(smiles)
        numbers = [each.GetAtomicNum() for each in molecule.GetAtoms()]
        positions = molecule.GetConformer().GetPositions()
        calculator = Calculator("GFN2-xTB", np.array(numbers), positions / 0.529177210903)
        calculator.set("verbosity", 0)
        found = calculator.singlepoint()
        energies, occupied = found.get("orbital-energies"), found.get("orbital-occupations") > 1
        gap = 27.211386245988 * (energies[~occupied].min() - energies[occupied].max())
        yield Atoms(numbers, positions, info={"material": smiles, "split": part_of(smiles), "gap": float(gap)})


def main() -> None:
    """Write a set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="kind", required=True)
    moments = commands.add_parser("moments")
    moments.add_argument("crystals", type=Path)
    moments.add_argument("out", type=Path)
    gaps = commands.add_parser("gaps")
    gaps.add_argument("out", type=Path)
    gaps.add_argument("--number", type=int, default=1000)
    options = parser.parse_args()
    if options.kind == "moments":
        frames = with_moments(list(magnetic_crystals(options.crystals)))
    else:
        frames = list(molecules_with_gaps(options.number))
    write(options.out, frames, format="extxyz")
    print(f"{options.out}: {len(frames)} frames")


if __name__ == "__main__":
    main()
