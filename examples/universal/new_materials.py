"""Make materials that are not in the data by substitution of similar elements, to be labelled by the teacher.

    python examples/universal/new_materials.py data/teacher volumes/best.safetensors --held-out data/held-out.txt

In every relaxed crystal for training, one or two elements are replaced, on all of their sites or on some; what has a
formula of the data, or one that is held out, is left out. Crystals of four and more elements, which are rare, are taken
three times as often. Each gets the volume of the model's least energy within 20 % in length of the volume by covalent
radii; where there is none, it is left out. ``torch-gptff distill`` then has them strained, rattled and labelled.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write
from numpy.random import Generator, default_rng

from torch_gptff import Potential, load
from torch_gptff.datasets import open_dataset
from torch_gptff.errors import UnfamiliarCompositionWarning
from torch_gptff.graph.convert import to_ase
from torch_gptff.graph.formula import reduced_formula
from torch_gptff.training.distillation.deformations import rescaled
from torch_gptff.training.distillation.substitution import near_elements, with_elements

SCALES = np.linspace(0.8, 1.2, 11)
"""Factors of the cell lengths at which energies are computed."""

TOGETHER = 32
"""Crystals whose energies are computed at once."""


def replaced(atoms: Atoms, elements: frozenset[int], rng: Generator) -> Atoms | None:
    """A copy with another element on the sites of one, or on a random part of them; None where nothing is near."""
    old = int(rng.choice(np.unique(atoms.numbers)))
    near = [z for z in near_elements(old) if z in elements and z not in atoms.numbers]
    sites = np.flatnonzero(atoms.numbers == old)
    if not near:
        return None
    if len(sites) > 1 and rng.random() < 1 / 3:
        sites = rng.permutation(sites)[: rng.integers(1, len(sites))]
    numbers = atoms.numbers.copy()
    numbers[sites] = rng.choice(near)
    return with_elements(atoms, numbers)


def new_materials(crystals: Sequence[Atoms], known: set[str], elements: frozenset[int], copies: int) -> Iterator[Atoms]:
    """Copies of every crystal whose formula is not known."""
    rng = default_rng(0)
    for atoms in crystals:
        is_rare = len(np.unique(atoms.numbers)) > 3
        for _ in range(3 * copies if is_rare else copies):
            copy: Atoms | None = atoms
            for _ in range(rng.integers(1, 3)):
                copy = None if copy is None else replaced(copy, elements, rng)
            if copy is not None and reduced_formula(copy.numbers) not in known:
                yield copy


def at_their_volumes(crystals: Sequence[Atoms], model: Potential) -> Iterator[Atoms]:
    """The crystals with the volume of the least energy, by a parabola; left out where that is at an end."""
    for first in range(0, len(crystals), TOGETHER):
        part = crystals[first : first + TOGETHER]
        copies = [rescaled(atoms, scale**3) for atoms in part for scale in SCALES]
        energies = [each.energy.item() for each in model.predict(copies, forces=False, stress=False)]
        for atoms, curve in zip(part, np.reshape(energies, (len(part), len(SCALES))), strict=True):
            lowest = int(curve.argmin())
            if 0 < lowest < len(SCALES) - 1:
                near = slice(lowest - 1, lowest + 2)
                a, b, _ = np.polyfit(SCALES[near], curve[near], 2)
                yield rescaled(atoms, (-b / (2 * a)) ** 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the stored frames of the teacher")
    parser.add_argument("model", type=Path, help="that says their volumes")
    parser.add_argument("--held-out", type=Path, required=True, help="reduced formulas, one on a line")
    parser.add_argument("--copies", type=int, default=2, help="of a crystal of at most three elements")
    parser.add_argument("--out", type=Path, default=Path("data/new-materials.extxyz"))
    options = parser.parse_args()

    frames = open_dataset(options.data)
    known = {frame.material for frame in frames} | set(options.held_out.read_text(encoding="utf-8").split())
    relaxed = [to_ase(f) for f in frames if f.split == "train" and f.source.endswith(":eq")]
    elements = frozenset(np.unique(np.concatenate([atoms.numbers for atoms in relaxed])).tolist())
    warnings.simplefilter("ignore", UnfamiliarCompositionWarning)  # what is unfamiliar is looked for
    unrelaxed = list(new_materials(relaxed, known, elements, options.copies))
    made = list(at_their_volumes(unrelaxed, load(options.model)))
    write(options.out, made, format="extxyz")
    formulas = {reduced_formula(atoms.numbers) for atoms in made}
    print(
        f"{len(relaxed):,} crystals, {len(unrelaxed):,} copies, {len(made):,} with a volume, {len(formulas):,} formulas"
    )


if __name__ == "__main__":
    main()
