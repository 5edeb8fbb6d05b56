"""Labels of a teacher, relaxations with it, and frames in extended XYZ."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.stress import voigt_6_to_full_3x3_stress
from changes import is_sane, rescaled
from prepare import is_test

from torch_gptff import Potential
from torch_gptff.io.files import written_atomically
from torch_gptff.training.distillation.teachers import make_teacher

Label = tuple[float, np.ndarray, np.ndarray]
"""Energy, eV; forces, eV/Å; stress, eV/Å³, 3×3, positive = tensile."""

Teacher = Callable[[list[Atoms]], list[Label]]
Tagged = tuple[Atoms, str]
MOST_FORCE, MOST_STRESS = 40.0, 0.9


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


def student_of(potential: Potential) -> Teacher:
    """Function that labels many structures at once as one of our potentials predicts them."""

    def labels(structures: list[Atoms]) -> list[Label]:
        found: list[Label] = []
        for each in potential.predict(structures):
            assert each.forces is not None
            assert each.stress is not None
            found.append((float(each.energy), each.forces.numpy(), each.stress[0].numpy()))
        return found

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


def write_piece(path: Path, frames: Iterable[str]) -> None:
    """Write a file of those frames that are not empty, whole or not at all."""
    began = time.time()
    lines = [each for each in frames if each]
    with written_atomically(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
    print(f"{path}: {len(lines)} frames, {time.time() - began:.0f} s", flush=True)
