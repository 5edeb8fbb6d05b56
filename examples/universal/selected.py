"""Let the student make structures, and have the teacher label those that the student is least sure of.

    python examples/universal/selected.py DATA --student gptff-universal --teacher nequix-oam-1-pft.pt --out selected
    python examples/universal/prepare.py DATA --more more/*.extxyz selected/*.extxyz --out data-3

writes files `selected/selected-SEED-NUMBER.extxyz` of some hundred frames. For each, known crystals and prototypes with
elements replaced by chemically near ones are strained and rattled; the student relaxes them, and heats what it has
reached to 300 to 3,000 K. What it passes on the way are the candidates: their kinds are `sel:relax` and `sel:md`. Kept
is a share of them, those whose energy per atom and whose forces are most uncertain by the student's committee, from all
formulas: of none more than twice the share.

As in `more_frames.py`, a file depends on its number, `--seed` and the student alone, files that are there are not made
again, and compounds of the test are left out. With `--share 1` all candidates are labelled, to compare with.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from changes import enlarged, is_sane, plain, rattled, rescaled, strained
from labelling import Tagged, Teacher, student_of, teacher_of, write_piece, written
from more_frames import KINDS, new_compounds, seeds
from moving import snapshots
from scipy.stats import rankdata

from torch_gptff import Potential, load_pretrained
from torch_gptff.workflows import Relaxation, relax_many

CRYSTALS = 30
"""New crystals of a file."""

ROUNDS = (2, 3, 5, 8)
"""Steps of the relaxation after each of which the structures are candidates; the next round begins where it ended."""

MD_STEPS, MD_INTERVAL = 48, 4
TEMPERATURES = (300, 600, 1000, 1500, 2200, 3000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with matcalc_ref and acwf_eos")
    parser.add_argument("--student", default="gptff-universal", help="a committee: a checkpoint or a name")
    parser.add_argument("--teacher", required=True, help="a potential of nequix")
    parser.add_argument("--operator", type=Path, help="folder of a faster operator of it")
    parser.add_argument("--share", type=float, default=0.2, help="share of the candidates to keep, 0 to 1")
    parser.add_argument("--out", type=Path, default=Path("selected"))
    parser.add_argument("--pieces", type=int, default=40, help="number of files")
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")

    student, teacher = load_pretrained(options.student), teacher_of(options.teacher, options.operator)
    crystals = seeds(options.data)
    for number in range(options.first, options.first + options.pieces):
        path = options.out / f"selected-{options.seed}-{number:04d}.extxyz"
        if not path.is_file():
            rng = np.random.default_rng((options.seed, len(KINDS), number))
            write_piece(path, selected(crystals, student, teacher, options.share, rng))


def selected(
    crystals: list[Atoms], student: Potential, teacher: Teacher, share: float, rng: np.random.Generator
) -> Iterator[str]:
    """Frames of the teacher of those candidates that the student is least sure of."""
    candidates = [(atoms, kind) for atoms, kind in passed(crystals, student, rng) if is_sane(atoms)]
    structures = [atoms for atoms, _ in candidates]
    kept = most_uncertain(structures, uncertainties(structures, student), share)
    yield from written([candidates[place] for place in kept], teacher)


def passed(crystals: list[Atoms], student: Potential, rng: np.random.Generator) -> Iterator[Tagged]:
    """Structures that the student passes while it relaxes new crystals, and while it heats what it has reached."""
    new = [atoms for atoms in new_compounds(crystals, CRYSTALS, rng) if is_sane(atoms)]
    reached = [strained(rattled(enlarged(atoms, 4), 0.1, rng), 0.03, rng) for atoms in new]
    for steps in ROUNDS:
        found = dict(relax_many(reached, student, max_steps=steps))
        relaxed = [each for _, each in sorted(found.items()) if isinstance(each, Relaxation)]
        reached = [plain(each.final) for each in relaxed]
        yield from ((atoms, "sel:relax") for atoms in reached)
    hot = [enlarged(rescaled(atoms, rng.uniform(0.95, 1.15)), 6) for atoms in reached if is_sane(atoms)]
    for atoms in hot:
        atoms.info["temperature"] = float(rng.choice(TEMPERATURES))
    for atoms, _ in snapshots(hot, student_of(student), MD_STEPS, MD_INTERVAL, rng):
        yield atoms, "sel:md"


def uncertainties(structures: list[Atoms], student: Potential) -> np.ndarray:
    """Uncertainty of the energy, eV/atom, and root mean square of that of the forces, eV/Å, ``[M, 2]``."""
    found: list[tuple[float, float]] = []
    for each in student.predict(structures, stress=False, energy_std=True, forces_std=True):
        assert each.energy_std is not None
        assert each.forces_std is not None
        found.append((float(each.energy_std) / len(each.forces_std), float(each.forces_std.square().mean().sqrt())))
    return np.array(found)


def most_uncertain(structures: list[Atoms], uncertain: np.ndarray, share: float) -> list[int]:
    """Places of a share of the structures, the most uncertain first, by the mean of their ranks in energy and forces.

    Of one formula, at most twice the share is taken.
    """
    formulas = [atoms.get_chemical_formula(empirical=True) for atoms in structures]
    left = {formula: math.ceil(2 * share * number) for formula, number in Counter(formulas).items()}
    most = math.ceil(share * len(structures))
    kept: list[int] = []
    for place in np.argsort(-rankdata(uncertain, axis=0).mean(axis=1), kind="stable").tolist():
        if len(kept) < most and left[formulas[place]] > 0:
            left[formulas[place]] -= 1
            kept.append(place)
    return kept


if __name__ == "__main__":
    main()
