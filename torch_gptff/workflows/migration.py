"""Record of a path between two structures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.graph.formula import formula_of
from torch_gptff.record import Record, verdict
from torch_gptff.report import Column
from torch_gptff.report.style import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class MigrationPath(Record):
    """A path of least energy, as a band of images.

    Attributes:
        images: the ends, and the images between them, ``[M]``
        energies: eV, ``[M]``
        distances: along the path, of all atoms together, Å, ``[M]``
        fit_distances: of a finer curve through the images, Å
        fit_energies: by the energies and the forces along the path, eV
        fmax: largest force on an atom of the band, eV/Å
        n_steps: of the band
        converged: whether the largest force fell to what was asked for, with the highest image at the saddle point
        n_reordered: atoms of the last structure that were put into another order
        remarks: warnings about the result
    """

    derived: ClassVar[tuple[str, ...]] = ("forward_barrier", "reverse_barrier", "reaction_energy")
    units: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("energies", "fit_energies", *derived), "eV"),
        **dict.fromkeys(("distances", "fit_distances"), "Å"),
        "fmax": "eV/Å",
    }
    columns: ClassVar[tuple[Column, ...]] = (
        Column("formula", value=lambda path: path.formula),
        Column("images", value=lambda path: len(path.images) - 2),
        Column("forward", "eV", 3, lambda path: path.forward_barrier),
        Column("reverse", "eV", 3, lambda path: path.reverse_barrier),
        Column("reaction", "eV", 3, lambda path: path.reaction_energy),
        Column("length", "Å", 2, lambda path: float(path.distances[-1])),
        Column("max force", "eV/Å", 3, lambda path: path.fmax),
        Column("steps", value=lambda path: path.n_steps),
        Column("conv.", value=lambda path: verdict(path.converged)),
    )

    images: tuple[Atoms, ...]
    energies: NDArray[np.float64]
    distances: NDArray[np.float64]
    fit_distances: NDArray[np.float64]
    fit_energies: NDArray[np.float64]
    fmax: float
    n_steps: int
    converged: bool
    n_reordered: int = 0
    remarks: tuple[str, ...] = ()

    @property
    def formula(self) -> str:
        """Formula of the structures."""
        return formula_of(self.images[0])

    @property
    def saddle(self) -> Atoms:
        """The image of highest energy."""
        return self.images[int(self.energies.argmax())]

    @property
    def forward_barrier(self) -> float:
        """Energy of the highest image above the first, eV."""
        return float(self.energies.max() - self.energies[0])

    @property
    def reverse_barrier(self) -> float:
        """Energy of the highest image above the last, eV."""
        return float(self.energies.max() - self.energies[-1])

    @property
    def reaction_energy(self) -> float:
        """Energy of the last image above the first, eV."""
        return float(self.energies[-1] - self.energies[0])

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the energy along the path.

        Args:
            axes: of matplotlib to draw on; by default new ones
        """
        from torch_gptff.workflows.drawing.neb import draw_path

        return drawn(draw_path, self, axes)
