"""Coverage of a distilled dataset: elements, pairs, distances, energies and forces."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from numpy.typing import NDArray

from torch_gptff.graph import CrystalData
from torch_gptff.graph.contacts import near_pairs
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

NEIGHBORS = 1.25
"""Atoms within so many sums of their covalent radii are neighbours."""

SHOWN = 12
"""Pairs of elements that the terminal is told of."""

QUANTILES = {"least": 0.0, "1 %": 0.01, "median": 0.5, "99 %": 0.99, "largest": 1.0}


@dataclass(frozen=True)
class PairCoverage:
    """Two elements as neighbours.

    Attributes:
        frames: in which they are
        closest: distance, Å
    """

    frames: int
    closest: float


@dataclass(frozen=True)
class Coverage:
    """Which elements, pairs, distances, energies, forces and stresses there are, and what was left out.

    Attributes:
        n_seeds: structures that it was made from
        n_frames: labelled frames
        n_atoms: in all of them
        kinds: frames of each kind
        left_out: how many, by reason
        elements: frames and atoms of each
        pairs: of neighbours, by their symbols
        values: of the energy per atom in eV, the force components in eV/Å, the stress components in GPa, and the
            distances of neighbours as a fraction of the sum of their covalent radii
    """

    n_seeds: int
    n_frames: int
    n_atoms: int
    kinds: Mapping[str, int]
    left_out: Mapping[str, int]
    elements: Mapping[str, tuple[int, int]]
    pairs: Mapping[str, PairCoverage]
    values: Mapping[str, NDArray[np.float64]] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: of the values, their quantiles."""
        document = {name: getattr(self, name) for name in ("n_seeds", "n_frames", "n_atoms")}
        document |= {name: dict(getattr(self, name)) for name in ("kinds", "left_out")}
        document["elements"] = {
            symbol: {"frames": frames, "atoms": atoms} for symbol, (frames, atoms) in self.elements.items()
        }
        document["pairs"] = {pair: asdict(found) for pair, found in self.pairs.items()}
        document["quantiles"] = {name: quantiles(values) for name, values in self.values.items()}
        return document

    def __str__(self) -> str:
        """A few lines for the terminal."""
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in self.kinds.items())
        lines = [f"{self.n_frames:,} frames of {self.n_atoms:,} atoms from {self.n_seeds:,} seeds: {kinds}"]
        lines += [f"left out: {number:,}, {reason}" for reason, number in self.left_out.items()]
        closest = sorted(self.pairs, key=self._fraction_of_radii)
        shown = [f"{pair} {self.pairs[pair].closest:.2f} Å" for pair in closest[:SHOWN]]
        others = f" and {len(closest) - SHOWN:,} more" if len(closest) > SHOWN else ""
        lines.append(f"closest neighbours: {', '.join(shown) or 'none'}{others}")
        for name, values in self.values.items():
            row = ", ".join(f"{label} {value:.3g}" for label, value in quantiles(values).items())
            lines.append(f"{name}: {row or 'none'}")
        return "\n".join(lines)

    def _fraction_of_radii(self, pair: str) -> float:
        """Shortest distance between these elements, divided by the sum of their covalent radii."""
        radii = (covalent_radii[atomic_numbers[symbol]] for symbol in pair.split("–"))
        return float(self.pairs[pair].closest / sum(radii))


def quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    """The least, the largest and what lies between; nothing of nothing."""
    if not len(values):
        return {}
    found = np.quantile(values, list(QUANTILES.values()))
    found = np.round(found, 9) + 0.0  # rounding errors are zero, and zero has no sign
    return dict(zip(QUANTILES, found.tolist(), strict=True))


def coverage_of(frames: Iterable[CrystalData], n_seeds: int, left_out: Mapping[str, int]) -> Coverage:
    """Look at every frame once.

    Args:
        frames: as :func:`~torch_gptff.training.distillation.distill` makes them
        n_seeds: that they were made from
        left_out: what was not kept, by reason
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
        values={name: np.concatenate([np.zeros(0), *rows]) for name, rows in values.items()},
    )


NAMES = ("energy per atom, eV", "force components, eV/Å", "stress components, GPa", "distances / covalent radii")


def kind_of(frame_id: str) -> str:
    """``"rattled"`` of ``"Cu.cif:rattled-3"``."""
    return frame_id.rpartition(":")[2].rpartition("-")[0]


def _neighbours(frame: CrystalData, frames: Counter[str], closest: dict[str, float]) -> NDArray[np.float64]:
    """Distances of neighbours over the sums of their radii; counts their pairs."""
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
