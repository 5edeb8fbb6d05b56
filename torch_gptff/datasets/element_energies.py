"""Reference energies of the elements from data, by least squares."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Data
from torch_geometric.transforms import BaseTransform

from torch_gptff.datasets.fingerprints import untransformed
from torch_gptff.errors import LabelError, NoLabelsError
from torch_gptff.graph.checks import element_ranges

N_ELEMENTS = 119
"""Highest atomic number + 1."""

RANK_TOLERANCE = 1e-8
"""Smallest singular value, divided by the largest, of a combination that the data determine."""

ROWS = 4096
"""Number of frames that are added at once."""


@dataclass(frozen=True)
class ElementEnergyFit:
    """Element energies, fitted such that their sums approximate the energies of the frames.

    Attributes:
        energies: eV, by atomic number, of the elements in the data
        undetermined: elements whose energies the data do not determine one by one
        n_frames: number of frames with a known energy
        rmse: root mean square of the residuals, eV per atom
    """

    energies: dict[int, float]
    undetermined: frozenset[int]
    n_frames: int
    rmse: float


def fit_element_energies(frames: Iterable[Data]) -> ElementEnergyFit:
    """Solve ``E / N = Σ_Z (n_Z / N) e_Z`` over all frames by least squares; frames of unknown energy are left out.

    Where compositions leave some combination of elements open (two that only occur in one ratio, say), the solution of
    least norm is taken, and the elements are named in a warning: their sum is right for such compounds, and wrong for
    others.

    Args:
        frames: a dataset or other frames, one pass

    Raises:
        NoLabelsError: no frame has a known energy.
    """
    fit = _Accumulated()
    for frame in untransformed(frames):
        fit.add(frame)
    return fit.solve()


def fit_element_energies_by_source(frames: Iterable[Data]) -> dict[str, ElementEnergyFit]:
    """Fit element energies to each source, since functionals and pseudopotentials have different references.

    A source without known energies has no fit.

    Raises:
        NoLabelsError: no frame of any source has a known energy.
    """
    fits: dict[str, _Accumulated] = {}
    for frame in untransformed(frames):
        fits.setdefault(frame.source, _Accumulated(frame.source)).add(frame)
    solved = {source: fit.solve() for source, fit in fits.items() if fit.n_frames}
    if not solved:
        raise NoLabelsError("no frame has a known energy to fit element energies to")
    return solved


class AlignEnergies(BaseTransform):
    """Convert the energies of all sources to one reference: ``E − Σ_i (e_source[Z_i] − e_reference[Z_i])``.

    Args:
        energies: element energies of each source, eV by atomic number
        reference: element energies of the new common reference, eV by atomic number

    Raises:
        LabelError: a frame of another source, or with an element that has no energy in its source or the reference.
    """

    def __init__(self, energies: Mapping[str, Mapping[int, float]], reference: Mapping[int, float]) -> None:
        self._reference = _table(reference)
        self._shifts = {source: _table(each) - self._reference for source, each in energies.items()}

    def forward(self, data: Data) -> Data:
        if data.source not in self._shifts:
            raise LabelError(f"{data.frame_id}: no element energies are given for the source {data.source!r}")
        shift = self._shifts[data.source][data.z].sum()
        if not bool(shift.isfinite()):
            raise LabelError(f"{data.frame_id}: an element has no energy in {data.source!r} or in the reference")
        data.energy = data.energy - shift
        return data

    def __repr__(self) -> str:
        return f"{type(self).__name__}(sources={sorted(self._shifts)})"


def _table(energies: Mapping[int, float]) -> torch.Tensor:
    table = torch.full((N_ELEMENTS,), torch.nan, dtype=torch.float64)
    for number, energy in energies.items():
        table[number] = energy
    return table


class _Accumulated:
    """The triangular factor of all rows ``[n_Z / N …, E / N]``, which is all that least squares needs of them."""

    def __init__(self, source: str | None = None) -> None:
        self._of_source = "" if source is None else f" of {source!r}"
        self._factor = np.zeros((0, N_ELEMENTS + 1))
        self._rows: list[NDArray[np.float64]] = []
        self.n_frames = 0

    def add(self, frame: Data) -> None:
        energy = float(frame.energy)
        if np.isnan(energy):
            return
        row = np.zeros(N_ELEMENTS + 1)
        row[:-1] = np.bincount(frame.z.numpy(), minlength=N_ELEMENTS)
        row[-1] = energy
        self._rows.append(row / len(frame.z))
        self.n_frames += 1
        if len(self._rows) == ROWS:
            self._reduce()

    def solve(self) -> ElementEnergyFit:
        self._reduce()
        if not self.n_frames:
            raise NoLabelsError("no frame has a known energy to fit element energies to")
        numbers = np.flatnonzero(np.abs(self._factor[:, :-1]).max(axis=0) > 0)
        fractions, target = self._factor[:, numbers], self._factor[:, -1]
        left, singular, right = np.linalg.svd(fractions, full_matrices=False)
        rank = int((singular > RANK_TOLERANCE * singular[0]).sum())
        solution = right[:rank].T @ ((left.T @ target)[:rank] / singular[:rank])
        determined = (right[:rank] ** 2).sum(axis=0) > 1 - RANK_TOLERANCE
        undetermined = frozenset(numbers[~determined].tolist())
        if undetermined:
            warnings.warn(
                f"the energies{self._of_source} do not determine the element energies of "
                f"{element_ranges(undetermined)} one by one: the smallest solution is taken; add frames of other "
                "compositions",
                stacklevel=3,
            )
        residual = np.linalg.norm(fractions @ solution - target)
        return ElementEnergyFit(
            energies=dict(zip(numbers.tolist(), solution.tolist(), strict=True)),
            undetermined=undetermined,
            n_frames=self.n_frames,
            rmse=float(residual / self.n_frames**0.5),
        )

    def _reduce(self) -> None:
        if self._rows:
            self._factor = np.asarray(np.linalg.qr(np.vstack([self._factor, *self._rows]), mode="r"))
            self._rows = []
