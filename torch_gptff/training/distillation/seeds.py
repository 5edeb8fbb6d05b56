"""Seed structures of a distillation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from torch_gptff.datasets import NAMED, named_sources, open_dataset
from torch_gptff.errors import DistillationError
from torch_gptff.graph.checks import check_geometry
from torch_gptff.graph.convert import from_ase, to_ase
from torch_gptff.io.structures import read_labelled


@dataclass(frozen=True)
class Seed:
    """A structure to start from.

    Attributes:
        name: name of its file, or its name in a dataset
        atoms: the structure alone, without labels and constraints
    """

    name: str
    atoms: Atoms


def read_seeds(paths: Iterable[str | Path]) -> list[Seed]:
    """Seeds from structure files (``file@index`` takes a part), folders of datasets and named datasets.

    Raises:
        FileNotFoundError, StructureError, DatasetError: a path cannot be read, or holds what no energy can be computed
            for.
        DistillationError: there is no structure.
    """
    seeds: list[Seed] = []
    for path in paths:
        if str(path) in NAMED and not Path(path).exists():
            frames = open_dataset(named_sources(str(path)))
            seeds += [Seed(frame.frame_id, to_ase(frame)) for frame in frames]
        elif Path(path).is_dir():
            seeds += [Seed(frame.frame_id, to_ase(frame)) for frame in open_dataset(path)]
        else:
            seeds += [Seed(Path(label).name, atoms) for label, atoms in read_labelled(path).items()]
    return as_seeds(seeds)


def as_seeds(structures: Iterable[Seed | Atoms]) -> list[Seed]:
    """Seeds from ASE ``Atoms``, or from seeds, each checked.

    Raises:
        StructureError: no energy can be computed for one.
        DistillationError: there is none.
    """
    seeds: list[Seed] = []
    for number, structure in enumerate(structures):
        name, atoms = (
            (structure.name, structure.atoms)
            if isinstance(structure, Seed)
            else (f"{structure.get_chemical_formula()}-{number}", structure)
        )
        try:
            check_geometry(from_ase(atoms))
        except ValueError as error:
            raise type(error)(f"seed {name}: {error}") from error
        seeds.append(Seed(name, Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)))
    if not seeds:
        raise DistillationError("there are no seed structures")
    return seeds


def digest(seeds: Sequence[Seed]) -> str:
    """The SHA-256 of names and structures, to know them again."""
    total = hashlib.sha256()
    for seed in seeds:
        total.update(seed.name.encode())
        for values in (seed.atoms.numbers.astype("<i8"), seed.atoms.positions, seed.atoms.cell.array, seed.atoms.pbc):
            total.update(np.ascontiguousarray(values).tobytes())
    return total.hexdigest()
