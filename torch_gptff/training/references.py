"""The reference energies of the elements, source by source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

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
    """What the energies of each source are counted from.

    Attributes:
        tables: by source, eV by atomic number
        first: the source whose reference all energies are given
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
        """What is to be taken off for every atom of an element, eV, ``[S, 119]``."""
        shifts = torch.zeros(len(sources), SIZE, dtype=torch.float64)
        common = self.common
        for row, source in zip(shifts, sources, strict=True):
            for number, energy in self.tables.get(source, {}).items():
                row[number] = energy - common[number]
        return shifts

    def moved(self, sources: Sequence[str], by: Tensor) -> References:
        """The same with ``by``, eV ``[S, 119]``, added to the energies of each source."""
        tables = dict(self.tables)
        for source, row in zip(sources, by.tolist(), strict=True):
            tables[source] = {number: energy + row[number] for number, energy in self.tables.get(source, {}).items()}
        return References(tables, self.first)


def fitted(frames: Iterable[CrystalData], first: str) -> References:
    """The element energies that come nearest to the energies of each source, by least squares.

    Raises:
        NoLabelsError: no energy is known.
    """
    fits = fit_element_energies_by_source(frames)
    return References({source: fit.energies for source, fit in fits.items()}, first)


def refitted(
    potential: Potential, frames: Sequence[CrystalData], predictions: Sequence[Prediction], first: str
) -> References:
    """The element energies of a potential, moved by what comes nearest to its errors on each source.

    Args:
        potential: trained on another reference
        frames: with known energies
        predictions: of the potential for these frames
        first: the source whose reference all energies are to be given
    """
    old = potential.element_energies.energies.tolist()
    moves = fit_element_energies_by_source(_left_over(frames, predictions))
    tables = {
        source: {
            number: energy + fit.energies.get(number, 0.0)
            for number, energy in enumerate(old)
            if number in potential.model.elements or number in fit.energies
        }
        for source, fit in moves.items()
    }
    return References(tables, first)


def sample(numbers: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """At most so many of the frames, at random, in their order."""
    if len(numbers) <= most:
        return numbers
    return np.sort(np.random.default_rng(seed).choice(numbers, most, replace=False))


def _left_over(frames: Sequence[CrystalData], predictions: Sequence[Prediction]) -> Iterator[CrystalData]:
    for frame, prediction in zip(frames, predictions, strict=True):
        yield CrystalData(z=frame.z, energy=frame.energy - prediction.energy, source=frame.source)
