"""The reference energies of the elements, source by source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torch_gptff.datasets import fit_element_energies_by_source
from torch_gptff.graph import CrystalData
from torch_gptff.potential import Potential, Prediction

SIZE = 119


@dataclass(frozen=True)
class References:
    """Reference energies of the elements, for each source.

    Attributes:
        tables: element energies by source, eV by atomic number
        first: source whose reference all energies are given in
    """

    tables: Mapping[str, Mapping[int, float]]
    first: str

    @property
    def common(self) -> dict[int, float]:
        """The reference of the first source; of elements that it lacks, that of the next which has them."""
        energies: dict[int, float] = {}
        for name in (self.first, *self.tables):
            energies = {**self.tables.get(name, {}), **energies}
        return energies

    def shifts(self, sources: Sequence[str]) -> Tensor:
        """Reference energy of an atom of each element, eV, ``[S, 119]``."""
        shifts = torch.zeros(len(sources), SIZE, dtype=torch.float64)
        common = self.common
        for row, source in zip(shifts, sources, strict=True):
            for number, energy in self.tables.get(source, {}).items():
                row[number] = energy - common[number]
        return shifts

    def moved(self, sources: Sequence[str], by: Tensor) -> References:
        """References with ``by``, eV ``[S, 119]``, added to the energies of each source, which may repeat."""
        tables = dict(self.tables)
        for source, row in zip(sources, by.tolist(), strict=True):
            tables[source] = {number: energy + row[number] for number, energy in tables.get(source, {}).items()}
        return References(tables, self.first)


def fitted(frames: Iterable[CrystalData], first: str) -> References:
    """Element energies fitted to the energies of each source by least squares.

    Raises:
        NoLabelsError: no energy is known.
    """
    fits = fit_element_energies_by_source(frames)
    return References({source: fit.energies for source, fit in fits.items()}, first)


def counted_before(potential: Potential, source: str) -> dict[int, float]:
    """Reference energies of a source in a trained potential, eV by atomic number.

    That is its reference of this name, or else the one that it uses; of elements which that one lacks, any other.
    """
    in_use = potential.element_energies.energies.tolist()
    own = {number: energy for number, energy in enumerate(in_use) if number in potential.model.elements}
    own = {number: energy for number, energy in own.items() if isfinite(energy)}
    tables = {"": own, **potential.references}
    return References(tables, source if source in tables else "").common


def refitted(
    potential: Potential, frames: Sequence[CrystalData], predictions: Sequence[Prediction], first: str
) -> References:
    """The element energies of a potential, corrected by a fit to its errors on each source.

    Args:
        potential: a trained potential
        frames: frames with known energies
        predictions: predictions of the potential for these frames, without element energies
        first: source whose reference all energies are converted to
    """
    old = {source: counted_before(potential, source) for source in {frame.source for frame in frames}}
    moves = fit_element_energies_by_source(_left_over(frames, predictions, old))
    tables = {}
    for source, fit in moves.items():
        before = old[source]
        numbers = sorted({*before, *fit.energies})
        tables[source] = {n: before.get(n, 0.0) + fit.energies.get(n, 0.0) for n in numbers}
    return References(tables, first)


def sample(numbers: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """A random selection of a given number of frames, in their order."""
    if len(numbers) <= most:
        return numbers
    return np.sort(np.random.default_rng(seed).choice(numbers, most, replace=False))


def _left_over(
    frames: Sequence[CrystalData], predictions: Sequence[Prediction], tables: Mapping[str, Mapping[int, float]]
) -> Iterator[CrystalData]:
    for frame, prediction in zip(frames, predictions, strict=True):
        table = tables[frame.source]
        reference = sum(table.get(number, 0.0) for number in frame.z.tolist())
        yield CrystalData(z=frame.z, energy=frame.energy - prediction.energy - reference, source=frame.source)
