"""Coverage of a distilled dataset: elements, pairs, distances, energies and forces."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from numpy.typing import NDArray

from torch_gptff.graph import CrystalData
from torch_gptff.graph.contacts import near_pairs
from torch_gptff.record import Record
from torch_gptff.report import Column, Table
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

NEIGHBORS = 1.25
"""Largest distance of neighbours, divided by the sum of their covalent radii."""

SHOWN = 12
"""Number of pairs of elements that are printed."""

QUANTILES = {"least": 0.0, "1 %": 0.01, "median": 0.5, "99 %": 0.99, "largest": 1.0}
"""Fractions of all values that are below each quantile."""


@dataclass(frozen=True)
class PairCoverage(Record):
    """Frames in which two elements are neighbours.

    Attributes:
        frames: number of frames in which they are neighbours
        closest: their smallest distance, Å
    """

    units: ClassVar[dict[str, str]] = {"closest": "Å"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("frames", value=lambda pair: pair.frames),
        Column("closest", "Å", value=lambda pair: pair.closest),
    )

    frames: int
    closest: float


def _quantile_column(name: str) -> Column:
    return Column(name, value=lambda distribution: distribution.quantiles.get(name))


@dataclass(frozen=True)
class Distribution(Record):
    """Distribution of one quantity over a dataset.

    Attributes:
        quantiles: least, largest and median value, and those that 1 % of all are below and above; empty without values
        counts: numbers of values in bins, ``[B]``
        edges: edges of the bins, ``[B + 1]``
        beyond: share of values beyond the bins
    """

    columns: ClassVar[tuple[Column, ...]] = tuple(map(_quantile_column, QUANTILES))

    quantiles: dict[str, float]
    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    beyond: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Distribution:
        """The distribution of values, ``[K]``."""
        from torch_gptff.report.plots import binned

        return cls(quantiles(values), *binned(values))


@dataclass(frozen=True)
class Coverage(Record):
    """Elements, pairs, distances, energies, forces and stresses of a distilled dataset, and what was left out of it.

    Attributes:
        n_seeds: number of structures that it was made from
        n_frames: number of labelled frames
        n_atoms: number of atoms in all frames
        kinds: number of frames of each kind
        left_out: number of structures that were left out, by reason
        elements: numbers of frames and of atoms of each element
        pairs: pairs of neighbours, by their symbols
        distributions: energies per atom in eV, force components in eV/Å, stress components in GPa, and distances of
            neighbours divided by the sum of their covalent radii
    """

    columns: ClassVar[tuple[Column, ...]] = (
        Column("seeds", value=lambda coverage: coverage.n_seeds),
        Column("frames", value=lambda coverage: coverage.n_frames),
        Column("atoms", value=lambda coverage: coverage.n_atoms),
        Column("elements", value=lambda coverage: len(coverage.elements)),
        Column("pairs", value=lambda coverage: len(coverage.pairs)),
        Column("left out", value=lambda coverage: sum(coverage.left_out.values())),
    )

    n_seeds: int
    n_frames: int
    n_atoms: int
    kinds: dict[str, int]
    left_out: dict[str, int]
    elements: dict[str, tuple[int, int]]
    pairs: dict[str, PairCoverage]
    distributions: dict[str, Distribution] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Every value, in types that JSON knows; and the quantiles by themselves, for readers of the file."""
        document = super().to_dict()
        document["elements"] = {
            symbol: {"frames": frames, "atoms": atoms} for symbol, (frames, atoms) in self.elements.items()
        }
        document["quantiles"] = {name: each.quantiles for name, each in self.distributions.items()}
        return document

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Coverage:
        """The coverage of which :meth:`to_dict` gave the document.

        Raises:
            RecordError: the document is of another record, or of version 0.2 or older, which lacks the distributions.
        """
        elements = document.get("elements") if isinstance(document, dict) else None
        if isinstance(elements, dict):
            rows = {symbol: [each["frames"], each["atoms"]] for symbol, each in elements.items()}
            document = {**document, "elements": rows}
        return super().from_dict(document)

    def pair_table(self) -> Table:
        """Frames and smallest distance of each pair of neighbours."""
        return Table.of(self.pairs.items(), PairCoverage.columns, "neighbours")

    def __str__(self) -> str:
        """A few lines for the terminal."""
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in self.kinds.items())
        lines = [f"{self.n_frames:,} frames of {self.n_atoms:,} atoms from {self.n_seeds:,} seeds: {kinds}"]
        lines += [f"left out: {number:,}, {reason}" for reason, number in self.left_out.items()]
        closest = sorted(self.pairs, key=self._fraction_of_radii)
        shown = [f"{pair} {self.pairs[pair].closest:.2f} Å" for pair in closest[:SHOWN]]
        others = f" and {len(closest) - SHOWN:,} more" if len(closest) > SHOWN else ""
        lines.append(f"closest neighbours: {', '.join(shown) or 'none'}{others}")
        for name, distribution in self.distributions.items():
            lines.append(f"{name}: {in_words(distribution.quantiles) or 'none'}")
        return "\n".join(lines)

    def _fraction_of_radii(self, pair: str) -> float:
        """Shortest distance between these elements, divided by the sum of their covalent radii."""
        radii = (covalent_radii[atomic_numbers[symbol]] for symbol in pair.split("–"))
        return float(self.pairs[pair].closest / sum(radii))


def quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    """The values of :data:`QUANTILES`, by name; empty without values."""
    if not len(values):
        return {}
    found = np.quantile(values, list(QUANTILES.values()))
    found = np.round(found, 9) + 0.0  # rounding errors are zero, and zero has no sign
    return dict(zip(QUANTILES, found.tolist(), strict=True))


def in_words(quantiles: Mapping[str, float]) -> str:
    """Quantiles in one line."""
    return ", ".join(f"{label} {value:.3g}" for label, value in quantiles.items())


def coverage_of(frames: Iterable[CrystalData], n_seeds: int, left_out: Mapping[str, int]) -> Coverage:
    """The coverage of a dataset, whose frames are read once.

    Args:
        frames: labelled frames, as :func:`~torch_gptff.training.distillation.distill` makes them
        n_seeds: number of structures that they were made from
        left_out: number of structures that were left out, by reason
    """
    kinds, frames_with, atoms_of = Counter[str](), Counter[str](), Counter[str]()
    pair_frames, closest = Counter[str](), defaultdict[str, float](lambda: np.inf)
    values: dict[str, list[NDArray[np.float64]]] = {name: [] for name in NAMES}
    for frame in frames:
        kinds[kind_of(frame.frame_id)] += 1
        numbers = frame.z.numpy()
        symbols = Counter(chemical_symbols[number] for number in numbers)
        atoms_of.update(symbols)
        frames_with.update(symbols.keys())
        fractions = _neighbours(frame, pair_frames, closest)
        rows = (
            frame.energy.numpy() / len(numbers),
            frame.forces.numpy().ravel(),
            frame.stress.numpy().ravel() * GPA_PER_EV_PER_ANGSTROM3,
            fractions,
        )
        for name, row in zip(NAMES, rows, strict=True):
            values[name].append(row[~np.isnan(row)])
    order = sorted(atoms_of, key=chemical_symbols.index)
    return Coverage(
        n_seeds=n_seeds,
        n_frames=kinds.total(),
        n_atoms=atoms_of.total(),
        kinds=dict(kinds),
        left_out=dict(sorted(left_out.items())),
        elements={symbol: (frames_with[symbol], atoms_of[symbol]) for symbol in order},
        pairs={pair: PairCoverage(pair_frames[pair], round(closest[pair], 4)) for pair in sorted(pair_frames)},
        distributions={name: Distribution.of(np.concatenate([np.zeros(0), *rows])) for name, rows in values.items()},
    )


NAMES = ("energy per atom, eV", "force components, eV/Å", "stress components, GPa", "distances / covalent radii")


def kind_of(frame_id: str) -> str:
    """``"rattled"`` of ``"Cu.cif:rattled-3"``."""
    return frame_id.rpartition(":")[2].rpartition("-")[0]


def _neighbours(frame: CrystalData, frames: Counter[str], closest: dict[str, float]) -> NDArray[np.float64]:
    """Distances of neighbours divided by the sums of their radii. Pairs are added to ``frames`` and ``closest``."""
    numbers = frame.z.numpy()
    radii = covalent_radii[numbers]
    i, j, d = near_pairs(frame, NEIGHBORS)
    low, high = np.minimum(numbers[i], numbers[j]), np.maximum(numbers[i], numbers[j])
    for one, other in np.unique(np.stack([low, high], axis=1), axis=0):
        pair = f"{chemical_symbols[one]}–{chemical_symbols[other]}"
        frames[pair] += 1
        closest[pair] = min(closest[pair], float(d[(low == one) & (high == other)].min()))
    once = i <= j
    return np.asarray(d[once] / (radii[i] + radii[j])[once])
