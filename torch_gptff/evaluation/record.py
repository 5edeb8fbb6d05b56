"""Records of known and predicted values, and their errors."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from torch_gptff.datasets import fit_element_energies_by_source
from torch_gptff.datasets.element_energies import N_ELEMENTS
from torch_gptff.datasets.statistics import ALL, MOST_SOURCES
from torch_gptff.evaluation.scores import Compared, Floats, FrameSums, Scores
from torch_gptff.graph import CrystalData
from torch_gptff.record import Record

COMPARED = ("energy_per_atom", "forces", "stress")
"""Quantities that are compared, in eV, eV/Å and eV/Å³."""


@dataclass(frozen=True)
class GroupErrors(Record):
    """The errors of some of the frames, or of some of the atoms.

    Attributes:
        n_frames: number of frames in the group
        n_atoms: number of atoms in the group
        mae: mean absolute errors
        rmse: root mean square errors
    """

    n_frames: int
    n_atoms: int
    mae: Scores
    rmse: Scores

    @classmethod
    def of(cls, n_frames: int, n_atoms: int, sums: Mapping[str, FrameSums]) -> GroupErrors:
        """Errors from the sums over the frames of the group, by label."""
        mae = Scores(**{name: each.mae() for name, each in sums.items()})
        return cls(n_frames, n_atoms, mae, Scores(**{name: each.rmse() for name, each in sums.items()}))


@dataclass(frozen=True)
class FrameErrors(Record):
    """Errors of one frame.

    Attributes:
        frame_id: name of the frame
        source: source of the frame
        material: material of the frame
        n_atoms: number of atoms
        energy_per_atom: predicted minus known, eV; ``None`` where it is not known
        force: length of the largest error of an atom's force, eV/Å
        stress: largest error of a component, eV/Å³
    """

    frame_id: str
    source: str
    material: str
    n_atoms: int
    energy_per_atom: float | None
    force: float | None
    stress: float | None


@dataclass(frozen=True)
class PropertyScores(Record):
    """The errors of one property, in the unit of the data.

    Attributes:
        known: number of known values
        mae: mean absolute error
        rmse: root mean square error
        r2: coefficient of determination; ``None`` where all known values are the same
        mae_of_mean: mean absolute error of a constant prediction, the mean of the known values
    """

    known: int
    mae: float
    rmse: float
    r2: float | None
    mae_of_mean: float

    @classmethod
    def of(cls, compared: Compared, n_frames: int) -> PropertyScores:
        """The scores of known and predicted values."""
        sums = compared.sums(n_frames)
        known = compared.known[compared.is_known]
        mae, rmse = sums.mae(), sums.rmse()
        assert mae is not None
        assert rmse is not None
        return cls(sums.number, mae, rmse, sums.r2(), float(np.abs(known - known.mean(axis=0)).mean()))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Known and predicted values of ``F`` frames of ``N`` atoms together, and the errors that follow.

    Attributes:
        frame_id: names of the frames, ``[F]``
        source: sources of the frames, ``[F]``
        material: materials of the frames, ``[F]``
        n_atoms: numbers of atoms, ``[F]``
        numbers: atomic numbers, ``[N]``
        energy_per_atom: eV, ``[F]``
        forces: eV/Å, ``[N, 3]``
        stress: eV/Å³, positive = tensile, ``[F, 3, 3]``
        element_shifts: eV by atomic number, for each source or for all together, which bring the predicted energies
            nearest to the known ones by least squares; ``None`` where they were not fitted
        properties: known and predicted properties beside the energy, by name, in the unit of the data
    """

    frame_id: tuple[str, ...]
    source: tuple[str, ...]
    material: tuple[str, ...]
    n_atoms: NDArray[np.int64]
    numbers: NDArray[np.int64]
    energy_per_atom: Compared
    forces: Compared
    stress: Compared
    element_shifts: Mapping[str, Mapping[int, float]] | None = None
    properties: Mapping[str, Compared] = field(default_factory=dict)

    @cached_property
    def property_scores(self) -> dict[str, PropertyScores]:
        """The errors of properties beside the energy, by name."""
        return {name: PropertyScores.of(each, len(self.n_atoms)) for name, each in self.properties.items()}

    @property
    def mae(self) -> Scores:
        """Mean absolute errors."""
        return Scores(**{name: sums.mae() for name, sums in self._sums.items()})

    @property
    def rmse(self) -> Scores:
        """Root mean square errors."""
        return Scores(**{name: sums.rmse() for name, sums in self._sums.items()})

    @property
    def r2(self) -> Scores:
        """Coefficients of determination, without unit."""
        return Scores(**{name: sums.r2() for name, sums in self._sums.items()})

    @cached_property
    def standard_errors(self) -> dict[str, Scores]:
        """Standard errors of ``"mae"``, ``"rmse"`` and ``"r2"``, by bootstrap over frames."""
        spreads = {name: sums.standard_errors() for name, sums in self._sums.items()}
        return {kind: Scores(**{name: each[kind] for name, each in spreads.items()}) for kind in ("mae", "rmse", "r2")}

    @property
    def counts(self) -> dict[str, int]:
        """Frames, atoms, and known energies, components of forces and components of stresses."""
        known = {name: sums.number for name, sums in self._sums.items()}
        return {"frames": len(self.frame_id), "atoms": len(self.numbers), **known}

    @cached_property
    def aligned(self) -> Evaluation | None:
        """The evaluation with :attr:`element_shifts` added to the predicted energies; ``None`` where there are none.

        The remaining error is the relevant one where data and model have different energy references. The
        shifts were fitted to these very energies.
        """
        if self.element_shifts is None:
            return None
        tables = {source: _by_number(shifts) for source, shifts in self.element_shifts.items()}
        unknown = _by_number({})
        atoms = zip(self._references, self._split(self.numbers), strict=True)
        shift = np.array([tables.get(source, unknown)[numbers].mean() for source, numbers in atoms])
        energy = replace(self.energy_per_atom, predicted=self.energy_per_atom.predicted + shift)
        return replace(self, energy_per_atom=energy, element_shifts=None)

    def with_element_shifts(self) -> Evaluation:
        """The evaluation with :attr:`element_shifts` fitted to the errors of the energies of each source; of all
        together where there are more than :data:`~torch_gptff.datasets.statistics.MOST_SOURCES`, which are then names
        of something else.

        Raises:
            NoLabelsError: no energy is known.
        """
        residual = (self.energy_per_atom.known - self.energy_per_atom.predicted) * self.n_atoms
        frames = (
            CrystalData(z=torch.from_numpy(atoms), energy=torch.tensor([energy]), source=source)
            for atoms, energy, source in zip(self._split(self.numbers), residual, self._references, strict=True)
        )
        with warnings.catch_warnings():  # the fit is applied to these compositions only
            warnings.filterwarnings("ignore", "the energies.* do not determine")
            fits = fit_element_energies_by_source(frames)
        return replace(self, element_shifts={source: fit.energies for source, fit in fits.items()})

    def by_source(self) -> dict[str, GroupErrors]:
        """The errors of the frames of each source, in the order in which the sources came."""
        places = {source: place for place, source in enumerate(dict.fromkeys(self.source))}
        code = np.array([places[source] for source in self.source])
        groups = np.split(np.argsort(code, kind="stable"), np.cumsum(np.bincount(code))[:-1])
        return {
            source: GroupErrors.of(
                len(frames), int(self.n_atoms[frames].sum()), {name: s.of(frames) for name, s in self._sums.items()}
            )
            for source, frames in zip(places, groups, strict=True)
        }

    def by_element(self) -> dict[int, GroupErrors]:
        """Errors by atomic number: of the forces on its atoms, and of energy and stress of the frames that hold it."""
        forces = replace(self.forces, frame=self.numbers).sums(N_ELEMENTS)
        errors = {}
        for number in np.unique(self.numbers).tolist():
            atoms = self.numbers == number
            frames = np.bincount(self.forces.frame[atoms], minlength=len(self.n_atoms)) > 0
            sums = {name: each.of(frames) for name, each in self._sums.items()}
            sums["forces"] = forces.of(slice(number, number + 1))
            errors[number] = GroupErrors.of(int(frames.sum()), int(atoms.sum()), sums)
        return errors

    @cached_property
    def frame_errors(self) -> list[FrameErrors]:
        """Errors of every frame, in their order."""
        energy = self.energy_per_atom.predicted - self.energy_per_atom.known
        force = np.linalg.norm(self.forces.predicted - self.forces.known, axis=1)
        stress = np.abs(self.stress.predicted - self.stress.known).max(axis=(1, 2))
        largest = [float(np.nanmax(each)) if not np.isnan(each).all() else None for each in self._split(force)]
        names = zip(self.frame_id, self.source, self.material, self.n_atoms.tolist(), strict=True)
        values = zip(map(_or_none, energy), largest, map(_or_none, stress), strict=True)
        return [FrameErrors(*name, *value) for name, value in zip(names, values, strict=True)]

    def worst(self, by: Literal["energy_per_atom", "force", "stress"], number: int = 10) -> list[FrameErrors]:
        """The frames with the largest errors of one kind, in magnitude, the worst first."""
        known = [frame for frame in self.frame_errors if getattr(frame, by) is not None]
        return sorted(known, key=lambda frame: -abs(getattr(frame, by)))[:number]

    def to_dict(self) -> dict[str, Any]:
        """The summary: see :func:`torch_gptff.evaluation.files.summary`."""
        from torch_gptff.evaluation.files import summary

        return summary(self)

    def save(self, path: str | Path, arrays: bool = True) -> None:
        """Write the summary as JSON, and the values of every frame beside it, for :meth:`load`, as ``.npz``."""
        from torch_gptff.evaluation.files import save

        save(self, Path(path), arrays)

    @classmethod
    def load(cls, path: str | Path) -> Evaluation:
        """Read what :meth:`save` wrote with ``arrays``, by the path of either file.

        Raises:
            FileNotFoundError: there are no arrays beside the summary.
            DatasetError: the file is damaged, or of something else.
        """
        from torch_gptff.evaluation.files import load

        return load(Path(path))

    @cached_property
    def _sums(self) -> dict[str, FrameSums]:
        return {name: getattr(self, name).sums(len(self.n_atoms)) for name in COMPARED}

    @property
    def _references(self) -> Sequence[str]:
        """Name of the reference of energy of each frame, ``[F]``."""
        return self.source if len(set(self.source)) <= MOST_SOURCES else (ALL,) * len(self.source)

    def _split(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Values of atoms, ``[N, …]``, frame by frame."""
        return np.split(values, np.cumsum(self.n_atoms)[:-1])


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _by_number(energies: Mapping[int, float]) -> Floats:
    """Energies in a row by atomic number, NaN where there is none."""
    table = np.full(N_ELEMENTS, np.nan)
    table[list(energies)] = list(energies.values())
    return table
