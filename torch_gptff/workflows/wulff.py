"""The shape of a crystal of least surface energy at a given volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pymatgen.analysis.wulff import WulffShape

SYMPREC = 1e-3
"""Å, to which the point group of a crystal is looked for."""


def wulff_shape(crystal: Atoms, energies: Mapping[tuple[int, int, int], float]) -> WulffShape:
    """The Wulff shape of a crystal, by pymatgen: the distance of each facet from the centre is its surface energy.

    pymatgen takes planes as equivalent that the symmetry of the lattice exchanges. Here they are those that the point
    group of the crystal exchanges, with an inversion, since the energies are those of slabs with both surfaces.

    Args:
        crystal: its conventional cell
        energies: positive, of the planes that symmetry tells apart, by Miller indices
    """
    import spglib
    from pymatgen.analysis.wulff import WulffShape
    from pymatgen.core import Lattice
    from pymatgen.core.operations import SymmOp

    found: Any = spglib.get_symmetry_dataset(
        (crystal.cell.array, crystal.get_scaled_positions(), crystal.numbers), SYMPREC
    )
    rotations = {tuple((sign * rotation.T).ravel().tolist()) for rotation in found.rotations for sign in (1, -1)}
    operations = [SymmOp.from_rotation_and_translation(np.reshape(each, (3, 3))) for each in sorted(rotations)]

    class CrystalLattice(Lattice):
        """A lattice with the symmetry of the crystal."""

        def get_recp_symmetry_operation(self, symprec: float = 0.01) -> list[SymmOp]:
            return operations

    return WulffShape(CrystalLattice(crystal.cell.array), list(energies), list(energies.values()))


def wulff_radii(shape: WulffShape, directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of the surface of a Wulff shape from its centre, in the unit of its energies, ``[D]``.

    Args:
        shape: of pymatgen
        directions: unit vectors, ``[D, 3]``
    """
    normals = np.array([facet.normal for facet in shape.facets])
    energies = np.array([facet.e_surf for facet in shape.facets])
    along = directions @ normals.T
    distances = np.full_like(along, np.inf)
    np.divide(energies, along, out=distances, where=along > 1e-9)
    return np.asarray(distances.min(axis=1))
