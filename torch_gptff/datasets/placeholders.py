"""Labels that stand for "not computed": zeros where nature has none, and one energy for all frames."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from torch_gptff.datasets.fingerprints import untransformed
from torch_gptff.datasets.frames import is_known

FEWEST = 2
"""Smallest number of suspicious frames that is reported."""

LOOKED_AT = 20
"""Number of frames of a source with zero forces whose symmetry is analysed."""

FEWEST_EQUAL = 10
"""Smallest number of frames with the same energy that is reported."""

SYMPREC = 1e-3
"""Tolerance of the symmetry analysis, Å."""

MARGIN = 10.0
"""Empty space around structures along directions without period, Å."""


@dataclass
class _Counts:
    """Counts of suspicious frames of one source."""

    known: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("energy", "forces", "stress"), 0))
    zero: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("energy", "forces", "stress"), 0))
    looked_at: int = 0
    asymmetric: int = 0
    energies: array[float] = field(default_factory=lambda: array("d"))


def check_placeholders(frames: Iterable[Data]) -> list[str]:
    """Labels that look like placeholders, one sentence each.

    Forces of exactly zero are what symmetry asks for in many crystals, so they are suspicious only where the symmetry
    of a structure allows others. The energy and the stress of a structure are never exactly zero.
    """
    by_source: dict[str, _Counts] = defaultdict(_Counts)
    for frame in untransformed(frames):
        _count(by_source[frame.source], frame)
    return [sentence for source, counts in by_source.items() for sentence in _sentences(source, counts)]


def _count(counts: _Counts, frame: Data) -> None:
    if len(frame.z) < 2:  # an atom alone may count as the zero of energies, and no force acts on it
        return
    for label in counts.known:
        if bool(is_known(frame, label).all()):
            counts.known[label] += 1
            is_zero = not bool(frame[label].any())
            counts.zero[label] += is_zero
            if label == "forces" and is_zero and counts.looked_at < LOOKED_AT:
                counts.looked_at += 1
                counts.asymmetric += forces_may_act(frame)
    if bool(is_known(frame, "energy")):
        counts.energies.append(float(frame.energy))


def _sentences(source: str, counts: _Counts) -> Iterator[str]:
    advice = "are they placeholders for what was not computed? Then leave the label out"
    if counts.asymmetric >= FEWEST:
        yield (
            f"{source}: the forces of {counts.zero['forces']} of {counts.known['forces']} frames are exactly zero, "
            f"although the symmetry of the structures allows forces: {advice}"
        )
    for label in ("stress", "energy"):
        if counts.zero[label] >= FEWEST:
            number = f"{counts.zero[label]} of {counts.known[label]}"
            yield f"{source}: the {label} of {number} frames is exactly zero: {advice}"
    energies = np.array(counts.energies)
    values, numbers = np.unique(energies[energies != 0], return_counts=True)
    if len(values) and numbers.max() >= max(FEWEST_EQUAL, len(energies) / 2):
        most = int(numbers.argmax())
        yield (
            f"{source}: {numbers[most]} of {len(energies)} frames have exactly the same energy "
            f"({values[most]:.10g} eV): {advice}"
        )


def forces_may_act(frame: Data) -> bool:
    """Whether the symmetry of a structure allows forces on its atoms, beside one that is the same on all.

    Forces that obey the symmetry are counted orbit by orbit: on one atom of it, those that the operations which keep
    this atom in place do not change.
    """
    import spglib

    cell, positions = _as_crystal(frame)
    crystal: Any = (cell, positions, frame.z.tolist())
    found = spglib.get_symmetry(crystal, symprec=SYMPREC)
    if found is None:
        return True
    to_cartesian = cell.T
    rotations = to_cartesian @ found["rotations"] @ np.linalg.inv(to_cartesian)
    n_free = 0
    for atom in np.unique(found["equivalent_atoms"]):
        moved = positions[atom] @ found["rotations"].transpose(0, 2, 1) + found["translations"] - positions[atom]
        stays = (np.abs((moved - np.round(moved)) @ cell) < 10 * SYMPREC).all(axis=1)
        n_free += _n_invariant(rotations[stays])
    return n_free > _n_invariant(rotations)


def _n_invariant(rotations: NDArray[np.float64]) -> int:
    """The number of independent vectors that rotations do not change: the trace of their mean, a projector."""
    return round(float(np.trace(rotations.mean(axis=0))))


def _as_crystal(frame: Data) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cell and fractional positions; with empty space along the directions that have no period."""
    positions, cell, pbc = frame.pos.numpy(), frame.cell[0].numpy().copy(), frame.pbc[0].numpy()
    if not pbc.all():
        from ase.geometry import complete_cell

        length = float(np.ptp(positions, axis=0).max()) + MARGIN
        cell = complete_cell(cell * pbc[:, None])
        cell[~pbc] *= length / np.linalg.norm(cell[~pbc], axis=1, keepdims=True)
    return cell, positions @ np.linalg.inv(cell)
