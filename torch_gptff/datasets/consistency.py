"""Do energies, forces and stresses belong together? A look for units and signs that were taken for others.

Between two near configurations of the same atoms the energy changes by the work done on them, by the trapezoidal rule::

    E_2 − E_1 ≈ −½ (F_1 + F_2) · Δx  +  ½ (V_1 σ_1 + V_2 σ_2) : ε

with ``Δx`` what the atoms move within the cell and ``ε`` the strain of the cell. Over many such pairs, the two terms
enter with the factors 1 and 1 where all units are right; forces in Hartree per Bohr need 51, a stress of the other sign
needs −1. This needs no model, and no second set of data.
"""

from __future__ import annotations

import itertools
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from torch_gptff.datasets.fingerprints import untransformed
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3, KBAR_PER_EV_PER_ANGSTROM3

LARGEST_MOVE = 0.5
"""Å. Pairs in which an atom moves further are not near."""

LARGEST_STRAIN = 0.1

FEWEST_PAIRS = 10
"""With work of a kind; fewer say nothing."""

TOLERANCE = 2.0
"""A factor within this of 1 is anharmonicity and noise, not another unit."""

LEAST_ENERGY = 0.5
"""eV per atom. Energies nearer to zero do not tell whether they are per atom ..."""

NOTEWORTHY = 0.02
"""... and a share of them below this is chance."""

Energies = Mapping[tuple[str, tuple[tuple[int, float], ...]], tuple["array[int]", "array[float]"]]
"""By source and composition: numbers of atoms and energies in eV, of all frames."""

_FORCES = {
    "Hartree/Bohr": 51.422,
    "Rydberg/Bohr": 25.711,
    "kcal/mol/Å": 0.043364,
    "kJ/mol/Å": 0.010364,
    "meV/Å": 1e-3,
}
_STRESS = {
    "GPa": 1 / GPA_PER_EV_PER_ANGSTROM3,
    "kbar": 1 / KBAR_PER_EV_PER_ANGSTROM3,
    "Hartree/Bohr³": 183.63,
}


@dataclass(frozen=True)
class WorkCheck:
    """How the work of forces and stresses accounts for the energies of one source.

    Attributes:
        source: of the frames
        forces: the factor of the work of forces, 1 if all is right; ``None`` if too few pairs tell
        stress: the factor of the work of stress; ``None`` if too few pairs tell
        n_pairs: of near configurations
    """

    source: str
    forces: float | None
    stress: float | None
    n_pairs: int

    def suspicions(self) -> list[str]:
        """What looks wrong, one sentence each; nothing if nothing does."""
        return [
            f"{self.source}: the {name} account for the energies when multiplied by {factor:.3g}, and not by 1"
            f" ({self.n_pairs} pairs of near frames): {_guess(name, factor, units)}"
            for name, factor, units in (("forces", self.forces, _FORCES), ("stresses", self.stress, _STRESS))
            if factor is not None and not 1 / TOLERANCE < factor < TOLERANCE
        ]


def check_work(frames: Iterable[Data]) -> list[WorkCheck]:
    """Compare work and energy over all pairs of frames that follow each other in the data, source by source."""
    works: dict[str, list[tuple[float, float, float]]] = {}
    for one, other in _pairs(frames):
        works.setdefault(one.source, []).append(_work(one, other))
    return [_check(source, np.array(pairs)) for source, pairs in works.items()]


def check_extensivity(energies: Energies) -> list[str]:
    """Energies that look as if they were per atom, among those of one composition.

    With the energy per atom ``e`` of the composition, taken from the lowest there are, such an energy is ``e`` itself
    among others of ``N e``; or, where all are per atom and ``e`` came from the smallest cell, ``N_min e``.
    """
    per_atom: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    for (source, _), columns in energies.items():
        n_atoms, energy = (np.array(column) for column in columns)
        reference = float(np.quantile(energy / n_atoms, 0.1))
        if reference > -LEAST_ENERGY:
            continue
        too_high = energy / n_atoms > 0.8 * reference
        as_per_atom = (np.abs(energy / reference - 1) < 0.2) | (np.abs(energy / reference / n_atoms.min() - 1) < 0.2)
        compared[source] += int((n_atoms > 1).sum())
        per_atom[source] += int((too_high & as_per_atom & (n_atoms > 1)).sum())
    return [
        f"{source}: {number} of {compared[source]} energies do not grow with the number of atoms: are they per atom?"
        for source, number in per_atom.items()
        if number > NOTEWORTHY * compared[source]
    ]


def _pairs(frames: Iterable[Data]) -> Iterator[tuple[Any, Any]]:
    """Frames that follow each other, are of one source, have the same atoms and every label, and are near."""
    for one, other in itertools.pairwise(untransformed(frames)):
        same_atoms = one.source == other.source and len(one.z) == len(other.z) and bool((one.z == other.z).all())
        if not same_atoms or not bool(one.pbc.all() & other.pbc.all()):
            continue
        if any(bool(frame[key].isnan().any()) for frame in (one, other) for key in ("energy", "forces")):
            continue
        moves, strain = _moves_and_strain(one, other)
        if np.abs(strain).max() <= LARGEST_STRAIN and np.linalg.norm(moves, axis=1).max() <= LARGEST_MOVE:
            yield one, other


def _work(one: Data, other: Data) -> tuple[float, float, float]:
    """The change of energy, the work of forces and that of stress, in eV; NaN where a stress is not known."""
    moves, strain = _moves_and_strain(one, other)
    force = (one.forces.numpy() + other.forces.numpy()) / 2
    virials = [abs(np.linalg.det(frame.cell[0].numpy())) * frame.stress[0].numpy() for frame in (one, other)]
    of_stress = float(((virials[0] + virials[1]) / 2 * strain).sum()) if np.abs(strain).max() > 1e-9 else 0.0
    return float(other.energy - one.energy), -float((force * moves).sum()), of_stress


def _moves_and_strain(one: Data, other: Data) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far atoms move beside the strain of the cell, to the nearest image, Å ``[N, 3]``; the strain ``[3, 3]``."""
    first, second = one.cell[0].numpy(), other.cell[0].numpy()
    fractional = other.pos.numpy() @ np.linalg.inv(second) - one.pos.numpy() @ np.linalg.inv(first)
    fractional -= fractional[0]  # all may have drifted by any part of a cell
    fractional -= np.round(fractional)
    fractional -= fractional.mean(axis=0)
    deformation = np.linalg.solve((first + second) / 2, second - first)
    return fractional @ ((first + second) / 2), (deformation + deformation.T) / 2


def _check(source: str, pairs: NDArray[np.float64]) -> WorkCheck:
    energy, of_forces, of_stress = pairs.T
    # A rigid displacement is no work, and two equal cells are no strain.
    with_forces = np.abs(of_forces) > 1e-6
    with_stress = np.isfinite(of_stress) & (np.abs(of_stress) > 1e-6)
    known = {"forces": with_forces.sum() >= FEWEST_PAIRS, "stress": with_stress.sum() >= FEWEST_PAIRS}
    usable = np.isfinite(of_stress) if known["stress"] else ~(np.abs(of_stress) > 1e-6) & np.isfinite(of_stress)
    columns = np.stack([of_forces, of_stress], axis=1)[usable][:, list(known.values())]
    factors = iter(_least_absolute(columns, energy[usable])) if len(columns) and columns.shape[1] else iter(())
    return WorkCheck(
        source,
        forces=next(factors, None) if known["forces"] else None,
        stress=next(factors, None) if known["stress"] else None,
        n_pairs=len(pairs),
    )


def _least_absolute(columns: NDArray[np.float64], target: NDArray[np.float64]) -> list[float]:
    """Factors of the columns with the least sum of absolute errors, by reweighted least squares."""
    weights: NDArray[np.float64] = np.ones(len(target))
    factors: NDArray[np.float64] = np.zeros(columns.shape[1])
    for _ in range(50):
        factors = np.asarray(np.linalg.lstsq(columns * weights[:, None], target * weights, rcond=None)[0])
        errors = np.abs(columns @ factors - target)
        weights = 1 / np.sqrt(np.maximum(errors, 1e-6))
    return [float(factor) for factor in factors]


def _guess(name: str, factor: float, units: dict[str, float]) -> str:
    near = [unit for unit, value in units.items() if 1 / 1.5 < abs(factor) / value < 1.5]
    sign = "of the opposite sign" if factor < 0 else ""
    unit = f"in {near[0]}" if near else ""
    told = " and ".join(part for part in (unit, sign) if part)
    return f"are the {name} {told}?" if told else "check their unit, and the energies'"
