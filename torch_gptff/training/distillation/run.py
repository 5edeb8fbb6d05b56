"""Distillation: a labelled dataset from seed structures and a teacher."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator

from torch_gptff.datasets import LMDBCrystalDataset, Source, read_sources
from torch_gptff.datasets.extxyz import write_extxyz
from torch_gptff.errors import DistillationError
from torch_gptff.io import fingerprint
from torch_gptff.io.files import written_atomically
from torch_gptff.potential import Potential
from torch_gptff.record import Record
from torch_gptff.report import Column
from torch_gptff.training.distillation.coverage import Coverage, coverage_of
from torch_gptff.training.distillation.dynamics import dynamics
from torch_gptff.training.distillation.limits import (
    LARGE_REPULSION,
    NO_NEIGHBOUR,
    NO_PERIODS,
    NO_SUBSTITUTE,
    TOO_CLOSE,
    are_too_close,
    excess,
    strongest_repulsion,
)
from torch_gptff.training.distillation.pages import coverage_page
from torch_gptff.training.distillation.parts import Parts
from torch_gptff.training.distillation.perturbations import generator, perturbed
from torch_gptff.training.distillation.seeds import Seed, as_seeds, digest
from torch_gptff.training.distillation.selection import disagreement, most_disputed, require_an_ensemble
from torch_gptff.training.distillation.settings import DistillationSettings
from torch_gptff.training.distillation.teachers import Teacher, make_teacher

SEEDS_PER_PART = 8
"""Number of seeds in a part; after a stop, at most one part is computed again."""

JOB, COVERAGE, PAGE, PARTS = "distillation.json", "coverage.json", "coverage.html", "parts"

MISSING = {"substituted": NO_SUBSTITUTE, "collided": NO_NEIGHBOUR}
"""Reason for a missing copy of a kind; by default the structure has no periods."""

Progress = Callable[[str, int, int], None]


def _column_of_coverage(column: Column) -> Column:
    return replace(column, value=lambda distillation: column.of(distillation.coverage))


@dataclass(frozen=True)
class Distillation(Record):
    """A distilled dataset.

    Attributes:
        dataset: folder of the stored dataset, or the extxyz file
        coverage: elements, pairs, distances, energies and forces of the dataset
    """

    columns: ClassVar[tuple[Column, ...]] = tuple(map(_column_of_coverage, Coverage.columns))

    dataset: Path
    coverage: Coverage


def distill(
    seeds: Iterable[Seed | Atoms],
    teacher: Teacher | Calculator | str,
    out: str | Path,
    settings: DistillationSettings | None = None,
    *,
    students: Sequence[Potential] = (),
    keep: int | None = None,
    extxyz: bool = False,
    progress: Progress | None = None,
) -> Distillation:
    """Make a labelled dataset: copies of seed structures out of equilibrium, with a teacher's energies.

    The folder receives the dataset, ``coverage.json`` and ``coverage.html``, and ``distillation.json``, which says how
    it was made. Called again after it was killed, it goes on where it was, with the same result.

    Args:
        seeds: structures to start from; see :func:`~torch_gptff.training.distillation.read_seeds` for files
        teacher: an ASE calculator, or its name: see :func:`~torch_gptff.training.distillation.make_teacher`
        out: folder of the results
        settings: numbers of copies, and limits for them
        students: an ensemble, or one committee, that chooses the structures worth a label
        keep: number of structures to label, those on which the students disagree most
        extxyz: whether to write ``frames.extxyz`` instead of a dataset in LMDB
        progress: called with the current stage, and the numbers of parts done and in all

    Raises:
        DistillationError: the folder belongs to another distillation, the students cannot disagree, or no frame is
            left; names the reasons.
        StructureError: no energy can be computed for a seed.
    """
    settings = settings or DistillationSettings()
    seeds = as_seeds(seeds)
    if isinstance(teacher, str):
        teacher = make_teacher(teacher)
    elif isinstance(teacher, Calculator):
        teacher = Teacher(type(teacher).__name__.lower(), teacher)
    if (keep is None) != (not students) or (keep is not None and keep < 1):
        raise DistillationError("students and the number of structures to keep (at least one) go together")
    if students:
        require_an_ensemble(students)
    out, tell = Path(out), progress or (lambda what, done, of: None)
    job = {
        "teacher": teacher.identity(),
        "seeds": digest(seeds),
        "settings": settings.to_dict(),
        "students": [fingerprint(student) for student in students],
        "keep": keep,
        "extxyz": extxyz,
    }
    _claim(out, job)
    dataset = out / ("frames.extxyz" if extxyz else "dataset")
    n_parts = -(-len(seeds) // SEEDS_PER_PART)
    candidates, labelled = (Parts(out / PARTS, name) for name in ("candidates", "labelled"))
    for number in range(n_parts):
        tell("structures", number, n_parts)
        if not candidates.is_there(number):
            candidates.write(number, *_candidates(seeds, number, teacher, settings))
    chosen = _chosen(candidates, n_parts, students, keep, out, tell)
    for number in range(n_parts):
        tell("labels", number, n_parts)
        if not labelled.is_there(number):
            structures = [
                atoms for atoms in candidates.read(number) if chosen is None or atoms.info["frame_id"] in chosen
            ]
            labelled.write(number, *_labelled(structures, teacher, settings))
    left_out = candidates.left_out(n_parts) + labelled.left_out(n_parts)
    sources = [Source(labelled.file(number)) for number in range(n_parts) if labelled.n_frames(number)]
    if not sources:
        reasons = "; ".join(f"{number} × {reason}" for reason, number in left_out.most_common(5))
        raise DistillationError(f"no frame is left of {len(seeds)} seeds ({reasons})")
    if extxyz:
        write_extxyz(dataset, read_sources(sources))
    else:
        LMDBCrystalDataset(dataset, sources, log=False, force_reload=True)
    coverage = coverage_of(read_sources(sources), len(seeds), left_out)
    coverage_page(coverage, job).save(out / PAGE)
    with written_atomically(out / COVERAGE) as temporary:
        temporary.write_text(json.dumps(coverage.to_dict(), indent=1, ensure_ascii=False) + "\n")
    return Distillation(dataset, coverage)


def _claim(out: Path, job: dict[str, Any]) -> None:
    """Write the inputs of a distillation to its folder, and refuse a folder with other inputs."""
    file = out / JOB
    if file.is_file():
        there = json.loads(file.read_text())
        different = [name for name, value in job.items() if there.get(name) != json.loads(json.dumps(value))]
        if different:
            raise DistillationError(
                f"{out} belongs to a distillation with other {', '.join(different)}: name another folder, or remove it"
            )
        return
    if out.is_dir() and any(out.iterdir()):
        raise DistillationError(f"{out} holds files of something else: name another folder")
    with written_atomically(file) as temporary:
        temporary.write_text(json.dumps(job, indent=1, ensure_ascii=False) + "\n")


def _candidates(
    seeds: Sequence[Seed], part: int, teacher: Teacher, settings: DistillationSettings
) -> tuple[list[Atoms], Counter[str]]:
    """The structures of one part, and what was left out."""
    frames: list[Atoms] = []
    left_out: Counter[str] = Counter()
    first = part * SEEDS_PER_PART
    for place, seed in islice(enumerate(seeds), first, first + SEEDS_PER_PART):
        for kind, number, atoms in _copies(seed.atoms, place, teacher, settings):
            is_collided = kind == "collided"
            if isinstance(atoms, str):
                left_out[atoms] += 1
            elif are_too_close(atoms, settings.collision[0] if is_collided else settings.min_distance):
                left_out[TOO_CLOSE] += 1
            elif is_collided and strongest_repulsion(atoms) > settings.max_force:
                left_out[LARGE_REPULSION] += 1
            else:
                atoms.info = {"frame_id": f"{place}:{seed.name}:{kind}-{number}"}
                frames.append(atoms)
    return frames, left_out


def _copies(
    atoms: Atoms, place: int, teacher: Teacher, settings: DistillationSettings
) -> Iterator[tuple[str, int, Atoms | str]]:
    """Kind, number and structure of every copy of a seed; or why there is none."""
    for kind, number, copy in perturbed(atoms, place, settings):
        missing = MISSING.get(kind, NO_PERIODS)
        yield kind, number, missing if copy is None else copy
    if are_too_close(atoms, settings.min_distance):
        return
    count = 0
    for run, temperature in enumerate(settings.temperatures):
        rng = generator(settings, place, "dynamics", run)
        for frame in dynamics(atoms, teacher, temperature, settings, rng):
            yield "dynamics", count, frame
            count += 1


def _chosen(
    candidates: Parts, n_parts: int, students: Sequence[Potential], keep: int | None, out: Path, tell: Progress
) -> set[str] | None:
    """The names of the structures to label; ``None`` for all of them."""
    if keep is None:
        return None
    file = out / PARTS / "selection.json"
    if not file.is_file():
        names: list[str] = []
        values: list[float] = []
        for number in range(n_parts):
            tell("selection", number, n_parts)
            structures = candidates.read(number)
            names += [atoms.info["frame_id"] for atoms in structures]
            values += disagreement(students, structures).tolist()
        kept = most_disputed(values, keep)
        with written_atomically(file) as temporary:
            temporary.write_text(json.dumps({names[number]: values[number] for number in kept}, ensure_ascii=False))
    return set(json.loads(file.read_text()))


def _labelled(
    structures: Sequence[Atoms], teacher: Teacher, settings: DistillationSettings
) -> tuple[list[Atoms], Counter[str]]:
    """Structures with the teacher's labels, and those left out by reason."""
    frames: list[Atoms] = []
    left_out: Counter[str] = Counter()
    for atoms, labels in zip(structures, teacher.label_all(structures), strict=True):
        reason = labels if isinstance(labels, str) else excess(labels.forces, labels.stress, settings)
        if reason is not None or isinstance(labels, str):
            left_out[str(reason)] += 1
            continue
        results = {"energy": labels.energy, "forces": labels.forces}
        if labels.stress is not None:
            results["stress"] = labels.stress
        atoms.calc = SinglePointCalculator(atoms, **results)
        atoms.info["source"] = teacher.name
        frames.append(atoms)
    return frames, left_out
