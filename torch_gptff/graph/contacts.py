"""Detection of atoms that are closer to each other than is physical."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from torch_gptff.errors import CloseAtomsError
from torch_gptff.graph.data import CrystalData
from torch_gptff.graph.neighbors import neighbor_list

T = TypeVar("T")

NEAREST = 1 / 3
"""Smallest accepted distance of two atoms, divided by the sum of their covalent radii. Violent collisions come to about
a half of the sum; atoms that are nearer than this are duplicates, in a cell that is too small, or in other units."""


def near_pairs(data: CrystalData, fraction: float) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """All pairs of atoms that are nearer than this fraction of the sum of their covalent radii.

    Pairs with periodic images are included, and each pair is listed from both sides.

    Args:
        data: the structure
        fraction: largest distance, divided by the sum of the covalent radii

    Returns:
        indices of the first and the second atom of each pair, and their distances in Å
    """
    radii = _radii(data)
    edge_index, _, lengths = neighbor_list(data, 2 * fraction * float(radii.max(initial=0.0)))
    (i, j), distances = edge_index.numpy(), lengths.numpy()
    is_near = distances < fraction * (radii[i] + radii[j])
    return i[is_near], j[is_near], distances[is_near]


def check_contacts(structure: Any, fraction: float = NEAREST) -> None:
    """Refuse a structure with atoms, or periodic images of atoms, that are too close to each other.

    Args:
        structure: an ASE ``Atoms``, a pymatgen ``Structure`` or ``Molecule``, or a record
        fraction: smallest accepted distance, divided by the sum of the covalent radii

    Raises:
        CloseAtomsError: names the two nearest atoms, and their distance.
        StructureError: see :func:`~torch_gptff.graph.checks.check_geometry`.
    """
    from torch_gptff.graph.checks import check_geometry
    from torch_gptff.graph.convert import from_structure

    data = from_structure(structure)
    check_geometry(data)
    _check_periods(data, fraction)
    i, j, distances = near_pairs(data, fraction)
    if len(distances):
        nearest = int(np.argmin(distances))
        one, other = sorted((int(i[nearest]), int(j[nearest])))
        touching = float(_radii(data)[[one, other]].sum())
        who = f"atoms {_named(data, one)} and {_named(data, other)} are"
        if one == other:
            who = f"atom {_named(data, one)} and its periodic image are"
        _refuse(f"{who} {distances[nearest]:.2g} Å apart, where {touching:.2g} Å would be touching")


def checked_frames(frames: Iterable[T], what: str, allow_close: bool = False) -> Iterator[T]:
    """Yield frames unchanged, and refuse the first that has atoms too close to each other.

    Args:
        frames: structures of any kind that :func:`check_contacts` takes
        what: name of the frames in the message
        allow_close: whether frames with atoms that are too close are accepted

    Raises:
        CloseAtomsError: names the first frame with atoms that are too close.
    """
    for number, frame in enumerate(frames):
        if not allow_close:
            try:
                check_contacts(frame)
            except CloseAtomsError as error:
                raise CloseAtomsError(f"{what}, frame {number}: {error}") from error
        yield frame


def _check_periods(data: CrystalData, fraction: float) -> None:
    """Refuse cells that are so small that images must overlap, before their many neighbours are listed.

    Spheres of one diameter fill at most 74 % of space, and discs 91 % of a plane, so that the least distance of N atoms
    is at most (√2 V / N)^⅓ in a volume V; that of an atom and its images is at most (2 A / √3)^½ in an area A.
    """
    vectors = data.cell[0].numpy()[data.pbc[0].numpy()]
    limit = 2 * fraction * float(_radii(data).min())
    if not len(vectors):
        return
    size = float(np.sqrt(np.linalg.det(vectors @ vectors.T)))
    packed = {1: size, 2: (2 * size / np.sqrt(3)) ** 0.5, 3: (np.sqrt(2) * size / len(data.z)) ** (1 / 3)}
    least = min(packed[len(vectors)], float(np.linalg.norm(vectors, axis=1).min()))
    if least < limit:
        _refuse(f"its cell is so small that atoms or their images are within {least:.2g} Å of each other")


def _refuse(what: str) -> None:
    raise CloseAtomsError(
        f"{what}: remove duplicates, and check that cell and positions are in Å (--allow-close computes it as it is)"
    )


def _named(data: CrystalData, atom: int) -> str:
    from ase.data import chemical_symbols

    return f"{atom} ({chemical_symbols[int(data.z[atom])]})"


def _radii(data: CrystalData) -> NDArray[np.float64]:
    """Covalent radii in Å, zero for atomic numbers that are no element."""
    from ase.data import covalent_radii

    z = data.z.numpy()
    radii = np.zeros(len(z))
    is_known = (z > 0) & (z < len(covalent_radii))
    radii[is_known] = covalent_radii[z[is_known]]
    return radii
