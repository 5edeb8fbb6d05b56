"""Fit of expected errors to the errors of frames held out of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from torch_gptff.nn import ExpectedErrors

FEWEST = 200
"""Fewest frames that expected errors are fitted to."""

FOLDS = 5
"""Parts of the frames, each of which is predicted by a fit to the others."""

STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Strengths of the regularization that are tried, in units of the number of frames."""

FLOOR = 0.1
"""Errors smaller than so many times the median count as that: their logarithms would decide the fit."""

SHRINKAGE = 0.01
"""Added to the variances of standardized features, so that directions hardly taken by any frame count little."""

NEARLY_ALL = 0.99
"""Share of the frames whose values are taken for known."""

Values = NDArray[np.float64]


class ErrorFit:
    """A ridge regression of the logarithms of errors by the mean features of a structure's atoms.

    Args:
        features: of the atoms of each frame, ``[N, c]``
        errors: of energies, eV/atom, one a frame
        groups: name of the group of each frame, such as its formula: a group is in one fold
    """

    def __init__(self, features: Sequence[Values], errors: Values, groups: Sequence[str]) -> None:
        self.features = [np.asarray(each, dtype=float) for each in features]
        sizes = np.abs(errors)
        self.logs = np.log(np.maximum(sizes, FLOOR * np.median(sizes)))
        self.sizes = np.array([len(each) for each in features])
        self.folds = np.unique(list(groups), return_inverse=True)[1] % FOLDS

    def fitted(self) -> tuple[ExpectedErrors, Values]:
        """A fit to all frames, and the expected errors of each by a fit to the other folds, eV/atom."""
        strength = min(STRENGTHS, key=self._loss)
        return self._fit(np.ones(len(self.logs), dtype=bool), strength), self._held_out(strength)

    def _loss(self, strength: float) -> float:
        return float(np.mean((np.log(self._held_out(strength)) - self.logs) ** 2))

    def _held_out(self, strength: float) -> Values:
        found = np.empty(len(self.logs))
        for fold in np.unique(self.folds):
            inside = self.folds == fold
            found[inside] = self._expected(self._fit(~inside, strength), inside)
        return found

    def _expected(self, fit: ExpectedErrors, frames: NDArray[np.bool_]) -> Values:
        chosen = np.flatnonzero(frames)
        batch = torch.arange(len(chosen)).repeat_interleave(torch.from_numpy(self.sizes[chosen]))
        of_atoms = torch.from_numpy(np.concatenate([self.features[place] for place in chosen]))
        return fit(of_atoms, batch, len(chosen)).numpy() / self.sizes[chosen]

    def _fit(self, frames: NDArray[np.bool_], strength: float) -> ExpectedErrors:
        chosen = np.flatnonzero(frames)
        atoms = np.concatenate([self.features[place] for place in chosen])
        mean, scale = atoms.mean(0), np.maximum(atoms.std(0), 1e-6)
        u = (atoms - mean) / scale
        precision = np.linalg.inv(np.cov(u.T) + SHRINKAGE * np.eye(len(mean)))
        squares = np.maximum(((u @ precision) * u).sum(1) / len(mean), 1e-12)
        starts = np.cumsum([0, *self.sizes[chosen][:-1]])
        known = np.add.reduceat(np.column_stack([u, np.log(squares)]), starts) / self.sizes[chosen, None]
        centre, spread = known.mean(0), known.std(0) + 1e-9
        design, logs = (known - centre) / spread, self.logs[chosen]
        penalty = strength * len(chosen) * np.eye(design.shape[1])
        slopes = np.linalg.solve(design.T @ design + penalty, design.T @ (logs - logs.mean())) / spread
        bias = logs.mean() - centre @ slopes
        exponents = known @ slopes + bias
        farthest = np.sqrt(np.maximum.reduceat(squares, starts))
        limits = [exponents.min(), exponents.max(), np.quantile(farthest, NEARLY_ALL)]
        values = (mean, scale, precision, np.append(slopes, bias), np.array(limits))
        return ExpectedErrors(*(torch.from_numpy(np.asarray(value)).float() for value in values))
