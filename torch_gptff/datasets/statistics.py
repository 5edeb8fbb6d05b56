"""Statistics of a dataset: elements, distributions of the labels, missing labels, and outliers."""

from __future__ import annotations

import warnings
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data, Dataset

from torch_gptff.datasets.consistency import Energies, add_energy, check_labels
from torch_gptff.datasets.element_energies import (
    ElementEnergyFit,
    fit_element_energies,
    fit_element_energies_by_source,
)
from torch_gptff.datasets.fingerprints import untransformed, untransformed_frame
from torch_gptff.datasets.frames import LABELS, is_known
from torch_gptff.datasets.histogram import LogHistogram
from torch_gptff.errors import DatasetError, NoLabelsError
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

ENERGY_SIGMAS = 10.0
"""Smallest deviation of an outlying energy, in robust standard deviations."""

LEAST_ENERGY = 0.5
"""Smallest deviation of an outlying energy, eV per atom."""

LARGE_FORCE = 50.0
"""Smallest outlying force on an atom, eV/Å."""

LARGE_STRESS = 150.0
"""Smallest outlying stress component, GPa."""

MOST_SOURCES = 50
"""Largest number of sources whose element energies are fitted one by one; names of more are no names of sources."""

ALL = "all sources"
"""Name under which element energies are fitted to all sources together."""


@dataclass(frozen=True)
class Distribution:
    """Distribution of magnitudes: number, mean, root mean square, median, 99 % quantile and maximum."""

    number: int
    mean: float
    rms: float
    median: float
    q99: float
    largest: float

    @classmethod
    def of(cls, histogram: LogHistogram) -> Distribution:
        return cls(
            histogram.number,
            histogram.mean,
            histogram.rms,
            histogram.quantile(0.5),
            histogram.quantile(0.99),
            histogram.largest,
        )


@dataclass(frozen=True)
class Outlier:
    """A frame with an outlying label.

    Attributes:
        number: number of the frame in the dataset
        frame_id: name of the frame
        why: the outlying label and its value
    """

    number: int
    frame_id: str
    why: str


@dataclass(frozen=True)
class DatasetStatistics:
    """Statistics of a dataset.

    Attributes:
        n_frames: number of frames
        n_atoms: number of atoms in all frames
        atoms_per_frame: smallest, mean and largest number of atoms of a frame
        n_materials: number of different materials
        sources: number of frames of each source
        splits: number of frames of each part that the files name
        known: number of frames with each label
        elements: numbers of frames and atoms of each element, by atomic number
        energy_per_atom: smallest, mean and largest energy per atom, eV
        residual: distribution of the magnitude of the energy per atom without element energies, eV
        forces: distribution of the magnitude of force components, eV/Å
        stress: distribution of the magnitude of stress components, GPa
        element_energies: fit of element energies to each source with energies
        outliers: frames with outlying labels
        suspicions: signs of wrong units and signs, and of placeholders
    """

    n_frames: int
    n_atoms: int
    atoms_per_frame: tuple[int, float, int]
    n_materials: int
    sources: Mapping[str, int]
    splits: Mapping[str, int]
    known: Mapping[str, int]
    elements: Mapping[int, tuple[int, int]]
    energy_per_atom: tuple[float, float, float] | None
    residual: Distribution | None
    forces: Distribution | None
    stress: Distribution | None
    element_energies: Mapping[str, ElementEnergyFit]
    outliers: tuple[Outlier, ...]
    suspicions: tuple[str, ...]


def dataset_statistics(frames: Sequence[Data] | Dataset) -> DatasetStatistics:
    """Statistics of all frames, which are read several times and not kept in memory.

    Args:
        frames: a dataset, or a list of frames

    Raises:
        DatasetError: there are no frames.
    """
    gathered = _Gathered()
    for frame in untransformed(frames):
        gathered.add(frame)
    if not gathered.n_atoms:
        raise DatasetError("there are no frames")
    fits = _fits(frames, len(gathered.sources))
    residuals, outliers = _residuals(frames, fits, gathered.outliers)
    n_atoms = np.array(gathered.n_atoms)
    return DatasetStatistics(
        n_frames=len(n_atoms),
        n_atoms=int(n_atoms.sum()),
        atoms_per_frame=(int(n_atoms.min()), float(n_atoms.mean()), int(n_atoms.max())),
        n_materials=len(gathered.materials),
        sources=dict(gathered.sources),
        splits=dict(gathered.splits),
        known=dict(gathered.known),
        elements={number: (gathered.frames_with[number], count) for number, count in sorted(gathered.atoms_of.items())},
        energy_per_atom=gathered.energy_range(),
        residual=residuals,
        forces=Distribution.of(gathered.forces) if gathered.forces.number else None,
        stress=Distribution.of(gathered.stress) if gathered.stress.number else None,
        element_energies=fits,
        outliers=tuple(sorted(outliers, key=lambda outlier: outlier.number)),
        suspicions=tuple(check_labels(frames)),
    )


@dataclass
class _Gathered:
    """Sums over the frames of one pass."""

    n_atoms: array[int] = field(default_factory=lambda: array("q"))
    materials: set[str] = field(default_factory=set)
    sources: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(LABELS, 0)))
    frames_with: Counter[int] = field(default_factory=Counter)
    atoms_of: Counter[int] = field(default_factory=Counter)
    energies: Energies = field(default_factory=dict)
    forces: LogHistogram = field(default_factory=LogHistogram)
    stress: LogHistogram = field(default_factory=LogHistogram)
    outliers: list[Outlier] = field(default_factory=list)

    def add(self, frame: Data) -> None:
        number, n_atoms = len(self.n_atoms), len(frame.z)
        self.n_atoms.append(n_atoms)
        self.materials.add(frame.material)
        self.sources[frame.source] += 1
        self.splits[frame.split] += 1
        for label in LABELS:
            self.known[label] += bool(is_known(frame, label).any())
        counts = Counter(frame.z.tolist())
        self.frames_with.update(counts.keys())
        self.atoms_of.update(counts)
        add_energy(self.energies, frame)
        if bool(is_known(frame, "forces").any()):
            forces = frame.forces.numpy()
            self.forces.add(np.abs(forces[~np.isnan(forces)]))
            self._look_at(number, frame, "force", float(np.nanmax(np.linalg.norm(forces, axis=1))), LARGE_FORCE, "eV/Å")
        if bool(is_known(frame, "stress")):
            stress = np.abs(frame.stress.numpy()) * GPA_PER_EV_PER_ANGSTROM3
            self.stress.add(stress)
            self._look_at(number, frame, "stress", float(stress.max()), LARGE_STRESS, "GPa")

    def _look_at(self, number: int, frame: Data, name: str, value: float, limit: float, unit: str) -> None:
        if value > limit:
            self.outliers.append(Outlier(number, frame.frame_id, f"a {name} of {value:.3g} {unit}"))

    def energy_range(self) -> tuple[float, float, float] | None:
        if not self.energies:
            return None
        per_atom = np.concatenate([np.array(energy) / np.array(n_atoms) for n_atoms, energy in self.energies.values()])
        return float(per_atom.min()), float(per_atom.mean()), float(per_atom.max())


def _fits(frames: Sequence[Data] | Dataset, n_sources: int) -> dict[str, ElementEnergyFit]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # undetermined energies do not affect residuals
        try:
            if n_sources > MOST_SOURCES:
                return {ALL: fit_element_energies(frames)}
            return fit_element_energies_by_source(frames)
        except NoLabelsError:
            return {}


def _residuals(
    frames: Sequence[Data] | Dataset, fits: Mapping[str, ElementEnergyFit], outliers: list[Outlier]
) -> tuple[Distribution | None, list[Outlier]]:
    """Energies per atom without the element energies of their source, and the frames whose are outlying."""
    places, values = array("q"), array("d")
    for number, frame in enumerate(untransformed(frames)):
        fit = fits.get(frame.source, fits.get(ALL))
        if fit is not None and bool(is_known(frame, "energy")):
            reference = sum(fit.energies[element] for element in frame.z.tolist())
            places.append(number)
            values.append((float(frame.energy) - reference) / len(frame.z))
    if not values:
        return None, outliers
    residuals = np.array(values)
    histogram = LogHistogram()
    histogram.add(np.abs(residuals))
    found = []
    for place in np.flatnonzero(_far(residuals)):
        frame_id = untransformed_frame(frames, places[place]).frame_id
        found.append(Outlier(places[place], frame_id, f"an energy {residuals[place]:+.3g} eV/atom off its elements'"))
    return Distribution.of(histogram), [*outliers, *found]


def _far(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    deviations = np.abs(values - np.median(values))
    sigma = 1.4826 * np.median(deviations)
    return (deviations > ENERGY_SIGMAS * sigma) & (deviations > LEAST_ENERGY)
