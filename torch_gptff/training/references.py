"""The reference energies of the elements, source by source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torch_gptff.datasets import fit_element_energies_by_source
from torch_gptff.errors import NoLabelsError
from torch_gptff.graph import CrystalData
from torch_gptff.potential import Potential, Prediction

SIZE = 119

HUBER, REWEIGHTED = 1.345, 30
"""Errors of more than 1.345 standard deviations weigh less, for 95 % efficiency on normal ones; and times to weigh."""

SIGNIFICANT = 3.0
"""Standard errors from which an element's energy is another one."""

SMALLEST, TOLERANCE = 1e-7, 1e-8
"""Smallest standard deviation of errors, eV per atom, and smallest singular value of the fit beside the largest."""


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
    """The element energies of a potential, moved for each source by what its errors tell of another reference.

    Args:
        potential: a trained potential
        frames: frames with known energies
        predictions: predictions of the potential for these frames, without element energies
        first: source whose reference all energies are converted to

    Raises:
        NoLabelsError: no energy is known.
    """
    old = {source: counted_before(potential, source) for source in {frame.source for frame in frames}}
    errors: dict[str, list[tuple[Tensor, float]]] = {}
    for frame, prediction in zip(frames, predictions, strict=True):
        reference = sum(old[frame.source].get(number, 0.0) for number in frame.z.tolist())
        error = float(frame.energy) - float(prediction.energy) - reference
        if isfinite(error):
            errors.setdefault(frame.source, []).append((frame.z, error))
    if not errors:
        raise NoLabelsError("no frame has a known energy to fit element energies to")
    tables = {}
    for source, of_source in errors.items():
        rows = np.stack([np.bincount(z.numpy(), minlength=SIZE) / len(z) for z, _ in of_source])
        moves = significant_moves(rows, np.array([error / len(z) for z, error in of_source])).tolist()
        present = np.flatnonzero(rows.any(axis=0)).tolist()
        tables[source] = old[source] | {number: old[source].get(number, 0.0) + moves[number] for number in present}
    return References(tables, first)


def significant_moves(fractions: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Element energies that explain errors of a model, eV, ``[K]``; 0 for an element whose errors are as well chance.

    Errors ``e`` of frames with fractions ``f`` of the elements are fitted by ``e = Σ_Z f_Z m_Z`` as an M-estimate of
    Huber (`doi:10.1214/aoms/1177703732 <https://doi.org/10.1214/aoms/1177703732>`_) with iterated weights, so that a
    few frames that the model knows badly, such as atoms pressed together, do not pass for another reference. Where
    compositions leave a combination of elements open, the smallest solution is taken.

    Args:
        fractions: of each element in each frame, ``[M, K]``
        errors: of the energy of each frame, eV per atom, ``[M]``
    """
    moves: NDArray[Any] = np.zeros(fractions.shape[1])
    weights = np.ones(len(errors))
    for _ in range(REWEIGHTED):
        root = np.sqrt(weights)
        moves = np.linalg.lstsq(fractions * root[:, None], errors * root, rcond=TOLERANCE)[0]
        residuals = np.abs(errors - fractions @ moves)
        scale = max(1.4826 * float(np.median(residuals)), SMALLEST)
        weights = np.minimum(1.0, HUBER * scale / np.maximum(residuals, SMALLEST))
    normal = np.linalg.pinv((fractions * weights[:, None]).T @ fractions, rcond=TOLERANCE**2, hermitian=True)
    standard_errors = scale * np.sqrt(np.diagonal(normal).clip(min=0))
    return np.where(np.abs(moves) > SIGNIFICANT * standard_errors, moves, 0.0)


def sample(numbers: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """A random selection of a given number of frames, in their order."""
    if len(numbers) <= most:
        return numbers
    return np.sort(np.random.default_rng(seed).choice(numbers, most, replace=False))
