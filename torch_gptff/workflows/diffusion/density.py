"""Density of ions in the cell, averaged along a trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from ase import Atoms
from ase.io.cube import write_cube
from numpy.typing import NDArray

from torch_gptff.errors import DiffusionError
from torch_gptff.io.files import written_atomically
from torch_gptff.record import Record
from torch_gptff.workflows.diffusion.motion import Motion


@dataclass(frozen=True)
class IonDensity(Record):
    """The density of a species on a grid over the mean cell.

    Attributes:
        species: of the ions
        cell: Å, ``[3, 3]``
        density: ions per Å³ in each voxel, the first of which begins at the origin of the cell, ``[n1, n2, n3]``
    """

    units: ClassVar[dict[str, str]] = {"cell": "Å", "density": "1/Å³"}

    species: str
    cell: NDArray[np.float64]
    density: NDArray[np.float64]

    def projected(self, axis: int) -> NDArray[np.float64]:
        """Ions per Å² as seen along a cell vector, ``[n, m]``."""
        voxel = abs(np.linalg.det(self.cell)) / self.density.size
        first, second = (vector for k, vector in enumerate(self.cell) if k != axis)
        area = float(np.linalg.norm(np.cross(first, second)))
        summed = self.density.sum(axis=axis)
        return np.asarray(summed * voxel / (area / summed.size))

    def write_cube(self, path: str | Path, atoms: Atoms | None = None) -> None:
        """Write a Gaussian cube file, which VESTA and others draw.

        Args:
            path: of the file
            atoms: to show with it; by default none
        """
        shown = Atoms(cell=self.cell, pbc=True) if atoms is None else atoms.copy()
        shown.set_cell(self.cell)
        with written_atomically(path) as temporary, temporary.open("w") as file:
            write_cube(file, shown, data=self.density, origin=(self.cell / self.density.shape).sum(axis=0) / 2)


def ion_density(motion: Motion, spacing: float = 0.3) -> IonDensity:
    """Count ions in the voxels of a grid.

    Args:
        motion: of the ions
        spacing: of the grid, at most, Å

    Raises:
        DiffusionError: the structure is not periodic in three directions, or the spacing makes no sense.
    """
    if not motion.is_crystal:
        raise DiffusionError("a density in the cell needs a structure that is periodic in three directions")
    if not spacing > 0:
        raise DiffusionError(f"a grid has a positive spacing, not {spacing} Å")
    shape = tuple(int(n) for n in np.ceil(np.linalg.norm(motion.cell, axis=1) / spacing))
    counts = np.zeros(shape)
    inverse = np.linalg.inv(motion.cell)
    for positions in motion.positions:
        voxels = (positions @ inverse % 1.0 * shape).astype(int) % shape
        np.add.at(counts, tuple(voxels.T), 1)
    voxel = motion.volume / counts.size
    return IonDensity(motion.species, motion.cell, counts / (len(motion.positions) * voxel))
