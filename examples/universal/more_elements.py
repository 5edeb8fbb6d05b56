"""Make crystals of the elements that the teacher knows and its frames do not hold: promethium and actinides.

    python examples/universal/more_elements.py data volumes/best.safetensors

takes the crystals of `data/acwf` with one of them as they are, at all their volumes; and of the relaxed crystals of
`data/teacher`, those in which such an element may replace a lanthanide: the one above it, or one next to that. These
get the volume of the model's least energy, as those of `new_materials.py` do. Formulas of the data and those that are
held out are left out.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.io import write
from new_materials import at_their_volumes
from numpy.random import Generator, default_rng

from torch_gptff import load_pretrained
from torch_gptff.datasets import open_dataset
from torch_gptff.errors import UnfamiliarCompositionWarning
from torch_gptff.graph.convert import to_ase
from torch_gptff.graph.formula import reduced_formula
from torch_gptff.training.distillation.substitution import with_elements

LANTHANIDES_ABOVE = {atomic_numbers[s]: atomic_numbers[s] - 32 for s in ("Ac", "Th", "Pa", "U", "Np", "Pu")} | {61: 61}
"""Lanthanide above each actinide, and promethium itself, by atomic number."""


def homologues(crystals: Sequence[Atoms], known: set[str], number: int, seed: int = 0) -> list[Atoms]:
    """Random crystals of this number, in which all atoms of a lanthanide are replaced by another element."""
    rng: Generator = default_rng(seed)
    made: list[Atoms] = []
    taken = set(known)
    for place in rng.permutation(len(crystals)):
        atoms = crystals[place]
        pairs = [
            (old, new)
            for new, above in LANTHANIDES_ABOVE.items()
            for old in (above - 1, above, above + 1)
            if old != new and old in atoms.numbers
        ]
        if not pairs:
            continue
        old, new = pairs[rng.integers(len(pairs))]
        copy = with_elements(atoms, np.where(atoms.numbers == old, new, atoms.numbers))
        formula = reduced_formula(copy.numbers)
        if formula not in taken:
            taken.add(formula)
            made.append(copy)
        if len(made) == number:
            break
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that prepare.py wrote")
    parser.add_argument("model", type=Path, help="that says their volumes, with the reference of acwf")
    parser.add_argument("--number", type=int, default=2000, help="of crystals with a replaced lanthanide")
    parser.add_argument("--seed", type=int, default=0, help="another one gives other crystals")
    parser.add_argument("--out", type=Path, default=Path("more-elements.extxyz"))
    options = parser.parse_args()

    held_out = set((options.data / "held-out.txt").read_text(encoding="utf-8").split())
    teacher, acwf = (open_dataset(options.data / name) for name in ("teacher", "acwf"))
    known = {frame.material for frame in teacher} | held_out
    wanted = list(LANTHANIDES_ABOVE)
    as_they_are = [to_ase(f) for f in acwf if f.material not in known and np.isin(f.z.numpy(), wanted).any()]
    relaxed = [to_ase(f) for f in teacher if f.split == "train" and f.source.endswith(":eq")]
    warnings.simplefilter("ignore", UnfamiliarCompositionWarning)  # what is unfamiliar is looked for
    replaced = homologues(relaxed, known, options.number, options.seed)
    made = list(at_their_volumes(replaced, load_pretrained(options.model, reference="acwf")))
    write(options.out, [*as_they_are, *made], format="extxyz")
    print(f"{len(as_they_are):,} of acwf, {len(replaced):,} with a replaced lanthanide, {len(made):,} with a volume")


if __name__ == "__main__":
    main()
