"""Table of the frames of a dataset, for splits, made in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from torch_gptff.datasets.fingerprints import frame_digest, structure_digest, untransformed
from torch_gptff.errors import SplitError
from torch_gptff.graph.formula import reduced_formula


class _Names:
    """Strings as numbers, in the order in which they appear."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.codes: list[int] = []

    def add(self, name: str) -> None:
        self.codes.append(self._numbers.setdefault(name, len(self._numbers)))

    def column(self) -> Column:
        return Column(np.array(self.codes, dtype=np.int64), tuple(self._numbers))


@dataclass(frozen=True)
class Column:
    """A string for every frame.

    Attributes:
        codes: places in ``names``, ``[F]``
        names: each string once
    """

    codes: NDArray[np.int64]
    names: tuple[str, ...]


@dataclass(frozen=True)
class FrameTable:
    """Properties by which the frames of a dataset are divided.

    Attributes:
        fingerprint: fingerprint of the dataset
        material: material of every frame
        formula: reduced formula of every frame
        elements: atomic numbers in each of ``formula.names``
        split: part that the file of every frame assigns it to
        structure: numbers that frames with the same atoms at the same places share, ``[F]``
    """

    fingerprint: str
    material: Column
    formula: Column
    elements: tuple[frozenset[int], ...]
    split: Column
    structure: NDArray[np.int64]

    @classmethod
    def of(cls, frames: Iterable[Data]) -> FrameTable:
        """The table of a dataset, or of other frames.

        Raises:
            SplitError: there are no frames.
        """
        digest = hashlib.sha256()
        material, formula, split = _Names(), _Names(), _Names()
        structures: list[int] = []
        elements: dict[str, frozenset[int]] = {}
        for frame in untransformed(frames):
            digest.update(frame_digest(frame))
            material.add(frame.material)
            split.add(frame.split)
            name = reduced_formula(frame.z.numpy())
            formula.add(name)
            elements.setdefault(name, frozenset(frame.z.tolist()))
            structures.append(structure_digest(frame))
        if not structures:
            raise SplitError("there are no frames to split")
        return cls(
            digest.hexdigest(),
            material.column(),
            formula.column(),
            tuple(elements.values()),
            split.column(),
            np.array(structures, dtype=np.int64),
        )

    def taken(self, frames: NDArray[np.int64]) -> FrameTable:
        """The table of the frames with these numbers."""
        digest = hashlib.sha256(self.fingerprint.encode() + frames.astype("<i8").tobytes())
        material, formula, split = (
            Column(column.codes[frames], column.names) for column in (self.material, self.formula, self.split)
        )
        return FrameTable(digest.hexdigest(), material, formula, self.elements, split, self.structure[frames])

    def pairs_of_elements(self) -> frozenset[tuple[int, int]]:
        """The pairs of atomic numbers, the lesser first, that occur together in a frame."""
        formulas = np.unique(self.formula.codes).tolist()
        return frozenset(pair for formula in formulas for pair in combinations(sorted(self.elements[formula]), 2))

    def __len__(self) -> int:
        return len(self.structure)
