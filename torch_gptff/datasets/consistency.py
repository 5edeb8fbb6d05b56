"""Consistency of energies, forces and stresses: detection of wrong units and signs.

Between two near configurations of the same atoms the energy changes by the work done on them, by the trapezoidal rule::

    E_2 − E_1 ≈ −½ (F_1 + F_2) · Δx  +  ½ (V_1 σ_1 + V_2 σ_2) : ε

with ``Δx`` what the atoms move within the cell and ``ε`` the strain of the cell. Over many such pairs, the two terms
enter with the factors 1 and 1 where all units are right; forces in Hartree per Bohr need 51, a stress of the other sign
needs −1. This needs no model, and no second set of data.

The rule is exact for harmonic energies. Beyond these, a pair errs by a part of the difference of its work at the two
ends, and is weighted by the inverse of that. These errors are not independent of the works (all cells of a rattled
crystal err in one direction), so that the uncertainty of a factor is that of errors which all conspire: unlike a
standard error, it does not fall with the number of pairs.
"""

from __future__ import annotations

import itertools
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data, Dataset

from torch_gptff.datasets.closeness import check_closeness
from torch_gptff.datasets.fingerprints import untransformed
from torch_gptff.datasets.frames import is_known
from torch_gptff.datasets.placeholders import check_placeholders
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3, KBAR_PER_EV_PER_ANGSTROM3

LARGEST_MOVE = 0.5
"""Largest displacement of an atom between two near configurations, Å."""

LARGEST_STRAIN = 0.1

FEWEST_PAIRS = 10
"""Smallest number of pairs with work of forces, or of stress, from which a factor is fitted."""

TOLERANCE = 2.0
"""Largest ratio of a factor to 1, or of 1 to it, that is explained by anharmonicity and noise."""

UNCERTAINTIES = 3.0
"""Smallest distance of a factor from that range, in its uncertainties, at which a unit is suspected."""

LEAST_ENERGY = 0.5
"""Smallest magnitude of an energy per atom, eV, for the check of energies that are given per atom."""

NOTEWORTHY = 0.02
"""Smallest share of such energies that is reported."""

FEWEST_ENERGIES = 10
"""Smallest number of such energies that is reported."""

SMALLEST = 3
"""Smallest number of atoms of a frame in that check: a stretched bond may have half of the energy of two atoms."""

Energies = dict[tuple[str, tuple[tuple[int, float], ...]], tuple["array[int]", "array[float]"]]
"""Numbers of atoms and energies in eV of all frames, by source and composition."""

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
    """Comparison of the work of forces and stresses with the energies of one source.

    Attributes:
        source: source of the frames
        forces: fitted factor of the work of forces, 1 for right units; ``None`` for too few pairs
        stress: fitted factor of the work of stress; ``None`` for too few pairs
        n_pairs: number of pairs of near configurations
        forces_uncertainty: uncertainty of ``forces``
        stress_uncertainty: uncertainty of ``stress``
    """

    source: str
    forces: float | None
    stress: float | None
    n_pairs: int
    forces_uncertainty: float = 0.0
    stress_uncertainty: float = 0.0

    def suspicions(self) -> list[str]:
        """Suspicious factors, one sentence each."""
        found = (
            ("forces", self.forces, self.forces_uncertainty, _FORCES),
            ("stresses", self.stress, self.stress_uncertainty, _STRESS),
        )
        return [
            f"{self.source}: the {name} account for the energies when multiplied by {factor:.3g} ± {uncertainty:.1g}, "
            f"and not by 1 ({self.n_pairs} pairs of near frames): {_guess(name, factor, units)}"
            for name, factor, uncertainty, units in found
            if factor is not None and _is_far(factor, UNCERTAINTIES * uncertainty)
        ]


def check_labels(frames: Sequence[Data] | Dataset) -> list[str]:
    """Suspicious labels of frames, one sentence each: units, signs and placeholders, and
    atoms that nearly coincide.

    Args:
        frames: a dataset, or a list of frames, which is passed over several times
    """
    energies: Energies = {}
    for frame in untransformed(frames):
        add_energy(energies, frame)
    works = (sentence for check in check_work(frames) for sentence in check.suspicions())
    return [*check_extensivity(energies), *works, *check_placeholders(frames), *check_closeness(untransformed(frames))]


def add_energy(energies: Energies, frame: Data) -> None:
    """Enter the energy of a frame, where it is known, for :func:`check_extensivity`."""
    if bool(is_known(frame, "energy")):
        counts, n_atoms = Counter(frame.z.tolist()), len(frame.z)
        composition = tuple(sorted((element, count / n_atoms) for element, count in counts.items()))
        known = energies.setdefault((frame.source, composition), (array("q"), array("d")))
        known[0].append(n_atoms)
        known[1].append(float(frame.energy))


def check_work(frames: Iterable[Data]) -> list[WorkCheck]:
    """Compare work and energy over all pairs of frames that follow each other in the data, source by source."""
    works: dict[str, list[tuple[float, ...]]] = {}
    for one, other in _pairs(frames):
        works.setdefault(one.source, []).append(_work(one, other))
    return [_check(source, np.array(pairs)) for source, pairs in works.items()]


def check_extensivity(energies: Energies) -> list[str]:
    """Detection of energies of one composition that seem to be given per atom.

    With the energy per atom ``e`` of the composition, taken from the lowest there are, such an energy is ``e`` itself
    among others of ``N e``; or, where all are per atom and ``e`` came from the smallest cell, ``N_min e``.
    """
    per_atom: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    for (source, _), columns in energies.items():
        n_atoms, energy = (np.array(column) for column in columns)
        is_large = n_atoms >= SMALLEST
        reference = float(np.quantile(energy / n_atoms, 0.1))
        if reference > -LEAST_ENERGY:
            continue
        too_high = energy / n_atoms > 0.8 * reference
        as_per_atom = (np.abs(energy / reference - 1) < 0.2) | (np.abs(energy / reference / n_atoms.min() - 1) < 0.2)
        compared[source] += int(is_large.sum())
        per_atom[source] += int((too_high & as_per_atom & is_large).sum())
    return [
        f"{source}: {number} of {compared[source]} energies do not grow with the number of atoms: are they per atom?"
        for source, number in per_atom.items()
        if number >= FEWEST_ENERGIES and number > NOTEWORTHY * compared[source]
    ]


def _pairs(frames: Iterable[Data]) -> Iterator[tuple[Any, Any]]:
    """Successive frames of one source with the same atoms, all labels and near positions."""
    for one, other in itertools.pairwise(untransformed(frames)):
        same_atoms = one.source == other.source and len(one.z) == len(other.z) and bool((one.z == other.z).all())
        if not same_atoms or not bool(one.pbc.all() & other.pbc.all()):
            continue
        if any(bool(frame[key].isnan().any()) for frame in (one, other) for key in ("energy", "forces")):
            continue
        moves, strain = _moves_and_strain(one, other)
        if np.abs(strain).max() <= LARGEST_STRAIN and np.linalg.norm(moves, axis=1).max() <= LARGEST_MOVE:
            yield one, other


def _work(one: Data, other: Data) -> tuple[float, ...]:
    """The change of energy, the works of forces and of stress, and by how much these two differ between the ends.

    All in eV; those of stress are NaN where one is not known.
    """
    moves, strain = _moves_and_strain(one, other)
    of_forces = np.array([-float((frame.forces.numpy() * moves).sum()) for frame in (one, other)])
    of_stress = np.zeros(2)
    if np.abs(strain).max() > 1e-9:
        virials = (abs(np.linalg.det(frame.cell[0].numpy())) * frame.stress[0].numpy() for frame in (one, other))
        of_stress = np.array([float((virial * strain).sum()) for virial in virials])
    apart = (abs(float(np.diff(works)[0])) for works in (of_forces, of_stress))
    return (float(other.energy - one.energy), float(of_forces.mean()), float(of_stress.mean()), *apart)


def _moves_and_strain(one: Data, other: Data) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Displacements of atoms to the nearest image, without strain, Å ``[N, 3]``, and the strain ``[3, 3]``."""
    first, second = one.cell[0].numpy(), other.cell[0].numpy()
    fractional = other.pos.numpy() @ np.linalg.inv(second) - one.pos.numpy() @ np.linalg.inv(first)
    fractional -= fractional[0]  # all may have drifted by any part of a cell
    fractional -= np.round(fractional)
    fractional -= fractional.mean(axis=0)
    deformation = np.linalg.solve((first + second) / 2, second - first)
    return fractional @ ((first + second) / 2), (deformation + deformation.T) / 2


def _check(source: str, pairs: NDArray[np.float64]) -> WorkCheck:
    energy, of_forces, of_stress, *apart = pairs.T
    # A rigid displacement is no work, and two equal cells are no strain.
    with_forces = np.abs(of_forces) > 1e-6
    with_stress = np.isfinite(of_stress) & (np.abs(of_stress) > 1e-6)
    known = np.array([with_forces.sum() >= FEWEST_PAIRS, with_stress.sum() >= FEWEST_PAIRS])
    usable = np.isfinite(of_stress) if known[1] else ~(np.abs(of_stress) > 1e-6) & np.isfinite(of_stress)
    factors, uncertainties = np.full(2, np.nan), np.zeros(2)
    if usable.any() and known.any():
        works = np.stack([of_forces, of_stress], axis=1)[usable][:, known]
        anharmonic = np.stack(apart, axis=1)[usable][:, known].sum(axis=1) / 2
        factors[known], uncertainties[known] = _fit(works, energy[usable], anharmonic)
    forces, stress = (None if np.isnan(factor) else float(factor) for factor in factors)
    return WorkCheck(source, forces, stress, len(pairs), *map(float, uncertainties))


def _fit(
    works: NDArray[np.float64], energies: NDArray[np.float64], anharmonic: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factors of the works, and their uncertainties, by least squares in which outliers count less (Huber).

    Args:
        works: ``[P, 1 or 2]``
        energies: the changes of energy, ``[P]``
        anharmonic: largest error of the trapezoidal rule, ``[P]``; pairs are weighted by its inverse
    """
    weights = 1 / (anharmonic + 0.1 * np.median(anharmonic) + 1e-9)
    columns, target = works * weights[:, None], energies * weights
    trust: NDArray[np.float64] = np.ones(len(target))
    for _ in range(30):
        root = np.sqrt(trust)
        factors = np.asarray(np.linalg.lstsq(columns * root[:, None], target * root, rcond=None)[0])
        errors = np.abs(columns @ factors - target)
        trust = np.minimum(1.0, 1.5 * (1.4826 * np.median(errors) + 1e-12) / np.maximum(errors, 1e-12))
    influence = np.abs(
        np.linalg.pinv(columns * root[:, None]) * root
    )  # influence of an error of each pair on each factor
    typical = np.sqrt((trust * errors**2).sum() / max(len(target) - works.shape[1], 1))
    return factors, typical * influence.sum(axis=1)


def _is_far(factor: float, uncertainty: float) -> bool:
    """Whether a factor differs from 1 by more than anharmonicity, noise and its uncertainty explain."""
    return factor - uncertainty > TOLERANCE or factor + uncertainty < 1 / TOLERANCE


def _guess(name: str, factor: float, units: dict[str, float]) -> str:
    near = [unit for unit, value in units.items() if 1 / 1.5 < abs(factor) / value < 1.5]
    sign = "of the opposite sign" if factor < 0 else ""
    unit = f"in {near[0]}" if near else ""
    told = " and ".join(part for part in (unit, sign) if part)
    return f"are the {name} {told}?" if told else "check their unit, and the energies'"
