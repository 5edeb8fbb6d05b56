"""Atoms that are nearer to each other than any atoms come."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from torch_gptff.errors import CloseAtomsError
from torch_gptff.graph.data import CrystalData
from torch_gptff.graph.neighbors import neighbor_list

NEAREST = 1 / 3
"""Of touching, the sum of the covalent radii. Violent collisions come to about a half of it; what is nearer than this
is a duplicate, a cell that is too small, or a file in other units."""


def near_pairs(data: CrystalData, fraction: float) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Two atoms, and their distance in Å, for all pairs nearer than this fraction of the sum of their covalent radii.

    Images are among them; each pair is there from both sides.
    """
    radii = _radii(data)
    edge_index, _, lengths = neighbor_list(data, 2 * fraction * float(radii.max(initial=0.0)))
    (i, j), distances = edge_index.numpy(), lengths.numpy()
    is_near = distances < fraction * (radii[i] + radii[j])
    return i[is_near], j[is_near], distances[is_near]


def check_contacts(structure: Any, fraction: float = NEAREST) -> None:
    """Refuse a structure with atoms, periodic images among them, nearer than this fraction of touching.

    Args:
        structure: an ASE ``Atoms``, a pymatgen ``Structure`` or ``Molecule``, or a record
        fraction: of the sum of the covalent radii

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
    """Covalent radii in Å; zero for what is no element."""
    from ase.data import covalent_radii

    z = data.z.numpy()
    radii = np.zeros(len(z))
    is_known = (z > 0) & (z < len(covalent_radii))
    radii[is_known] = covalent_radii[z[is_known]]
    return radii
