"""Choose relaxed crystals of the data whose hot and colliding atoms the teacher labels.

    python examples/universal/seeds.py data/teacher --out seeds

writes `seeds/elements.extxyz`, all crystals of one element; `seeds/lanthanides.extxyz` and `seeds/metals.extxyz`, those
of them of lanthanides and of other metals; `seeds/alloys.extxyz`, of two or three metals, half of them with a
lanthanide; and `seeds/compounds.extxyz`, of all others. Formulas that are held out are in none.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write
from numpy.random import Generator, default_rng
from pymatgen.core import Element

from torch_gptff.datasets import open_dataset
from torch_gptff.graph.convert import to_ase

LANTHANIDES = range(57, 72)
METALS = tuple(z for z in range(1, 95) if Element.from_Z(z).is_metal)
METALS_BESIDE = tuple(z for z in METALS if z not in LANTHANIDES)


def drawn(crystals: Sequence[Atoms], number: int, rng: Generator) -> list[Atoms]:
    """A random selection of this number, or all."""
    return [crystals[place] for place in sorted(rng.permutation(len(crystals))[:number])]


def seeds(relaxed: Sequence[Atoms], n_alloys: int, n_compounds: int) -> dict[str, list[Atoms]]:
    """Crystals for every file, by its name."""
    kinds: dict[str, list[Atoms]] = {"elements": [], "lanthanide": [], "other": [], "compounds": []}
    for atoms in relaxed:
        elements = np.unique(atoms.numbers)
        if len(elements) == 1:
            kind = "elements"
        elif len(elements) > 3 or not np.isin(elements, METALS).all():
            kind = "compounds"
        else:
            kind = "lanthanide" if np.isin(elements, LANTHANIDES).any() else "other"
        kinds[kind].append(atoms)
    rng = default_rng(0)
    half = n_alloys // 2
    return {
        "elements": kinds["elements"],
        "lanthanides": [atoms for atoms in kinds["elements"] if atoms.numbers[0] in LANTHANIDES],
        "metals": [atoms for atoms in kinds["elements"] if atoms.numbers[0] in METALS_BESIDE],
        "alloys": drawn(kinds["lanthanide"], half, rng) + drawn(kinds["other"], n_alloys - half, rng),
        "compounds": drawn(kinds["compounds"], n_compounds, rng),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the stored frames of the teacher")
    parser.add_argument("--alloys", type=int, default=2000)
    parser.add_argument("--compounds", type=int, default=4000)
    parser.add_argument("--out", type=Path, default=Path("seeds"))
    options = parser.parse_args()

    relaxed = [
        to_ase(frame)
        for frame in open_dataset(options.data)
        if frame.split == "train" and (frame.source.endswith(":eq") or ":seed-" in frame.frame_id)
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    for name, crystals in seeds(relaxed, options.alloys, options.compounds).items():
        write(options.out / f"{name}.extxyz", crystals, format="extxyz")
        print(f"{name}: {len(crystals):,}")


if __name__ == "__main__":
    main()
