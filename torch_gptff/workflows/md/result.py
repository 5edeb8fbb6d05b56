"""Record of a run of molecular dynamics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from torch_gptff.record import Record
from torch_gptff.report import Column, Table
from torch_gptff.report.structures import evenly_spaced
from torch_gptff.report.style import drawn
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows.md.remarks import foreseen, found
from torch_gptff.workflows.md.settings import AXES, MolecularDynamicsSettings
from torch_gptff.workflows.md.trajectory import TrajectoryFile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_POINTS = 2000
"""Largest number of frames in the series of a record; of a longer run, they are evenly spaced."""

AVERAGE_UNITS = {"temperature": "K", "pressure": "GPa", "potential_energy": "eV/atom", "volume": "Å³/atom"}
"""Units of :attr:`MolecularDynamicsRun.averages_per_atom`."""


@dataclass(frozen=True)
class Average(Record):
    """The mean of a quantity over the second half of the frames, and its standard deviation there."""

    mean: float
    standard_deviation: float


@dataclass(frozen=True)
class MolecularDynamicsRun(Record):
    """A run of molecular dynamics that has ended. Of long runs, the series are of evenly spaced frames.

    Attributes:
        settings: what it was asked to do
        trajectory: the file
        formula: of all atoms
        n_atoms: their number
        n_frames: in the file
        steps: of integration that are done
        problem: how it exploded; ``None`` where it did not
        time: fs, ``[K]``
        temperature: K, ``[K]``
        potential_energy: eV, ``[K]``
        kinetic_energy: eV, ``[K]``
        pressure: with its kinetic part, GPa, ``[K]``; ``None`` where there is none
        volume: Å³, ``[K]``; ``None`` without a cell
        lengths: of the cell vectors, Å, ``[K, 3]``
        axial_stress: along the strained cell vector, without its kinetic part, positive = tensile, GPa, ``[K]``;
            ``None`` without a strain ramp
        averages: of temperature (K), pressure (GPa), potential energy (eV) and volume (Å³)
        drift: of the energy that should be conserved, from a line through it, eV per atom and ps; ``None`` where no
            energy is conserved
        remarks: what to know before believing averages
    """

    units: ClassVar[dict[str, str]] = {
        **{"time": "fs", "temperature": "K", "pressure": "GPa", "volume": "Å³", "lengths": "Å"},
        **{"potential_energy": "eV", "kinetic_energy": "eV", "axial_stress": "GPa", "drift": "eV/atom/ps"},
    }

    settings: MolecularDynamicsSettings
    trajectory: str
    formula: str
    n_atoms: int
    n_frames: int
    steps: int
    problem: str | None
    time: NDArray[np.float64]
    temperature: NDArray[np.float64]
    potential_energy: NDArray[np.float64]
    kinetic_energy: NDArray[np.float64]
    pressure: NDArray[np.float64] | None
    volume: NDArray[np.float64] | None
    lengths: NDArray[np.float64]
    axial_stress: NDArray[np.float64] | None
    averages: dict[str, Average]
    drift: float | None
    remarks: tuple[str, ...] = ()

    @property
    def strain(self) -> NDArray[np.float64]:
        """Strain of the strained cell vector, ``[K]``."""
        return self.settings.strain * self.time / (self.settings.steps * self.settings.timestep)

    @property
    def averages_per_atom(self) -> dict[str, Average]:
        """Averages of temperature and pressure, and of energy and volume per atom, in :data:`AVERAGE_UNITS`."""
        share = {"potential_energy": self.n_atoms, "volume": self.n_atoms}
        return {
            name: Average(each.mean / share.get(name, 1), each.standard_deviation / share.get(name, 1))
            for name, each in self.averages.items()
        }

    def averages_table(self) -> Table:
        """A table of means and standard deviations over the second half of the frames."""
        columns = (
            Column(""),
            Column("T", "K", 1),
            Column("P", "GPa", 3),
            Column("E pot", "eV/atom", 4),
            Column("V", "Å³/atom", 3),
        )
        rows: list[list[object]] = []
        for name in ("mean", "standard_deviation"):
            values = {key: getattr(average, name) for key, average in self.averages_per_atom.items()}
            rows.append([f"{name.replace('_', ' ')}, second half", *(values.get(key) for key in AVERAGE_UNITS)])
        return Table(columns, rows)

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw potential and total energy over time.

        Args:
            axes: of matplotlib to draw on; by default new ones
        """
        from torch_gptff.workflows.drawing.md import draw_energies

        return drawn(draw_energies, self, axes)


def summary(frames: TrajectoryFile, settings: MolecularDynamicsSettings, problem: str | None) -> MolecularDynamicsRun:
    """The record of a run, from its trajectory: arrays of the atoms are not read, and frames not kept.

    Args:
        frames: that :func:`~torch_gptff.workflows.molecular_dynamics` wrote
        settings: of the run
        problem: how it ended, if not well
    """
    atoms = frames[0]
    series = frames.thermodynamics()
    chosen = evenly_spaced(len(frames), MOST_POINTS)
    second_half = slice(len(frames) // 2, None)
    has_volume = atoms.cell.rank == 3
    quantities = {
        "temperature": series.temperature,
        "pressure": series.pressure,
        "potential_energy": series.potential_energy,
        "volume": series.volume if has_volume else None,
    }
    axial = None
    if settings.strain and series.stress is not None:
        axes = series.cells[:, AXES.index(settings.strain_axis)]
        axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
        axial = np.einsum("fi,fij,fj->f", axes, series.stress, axes)[chosen] * GPA_PER_EV_PER_ANGSTROM3
    return MolecularDynamicsRun(
        settings=settings,
        trajectory=str(frames.path),
        formula=str(atoms.symbols.formula.format("metal")),
        n_atoms=len(atoms),
        n_frames=len(frames),
        steps=int(series.step[-1]),
        problem=problem,
        time=series.time[chosen],
        temperature=series.temperature[chosen],
        potential_energy=series.potential_energy[chosen],
        kinetic_energy=series.kinetic_energy[chosen],
        pressure=None if series.pressure is None else series.pressure[chosen],
        volume=series.volume[chosen] if has_volume else None,
        lengths=np.linalg.norm(series.cells[chosen], axis=2),
        axial_stress=axial,
        averages={
            name: Average(float(values[second_half].mean()), float(values[second_half].std()))
            for name, values in quantities.items()
            if values is not None
        },
        remarks=(*foreseen(atoms, settings), *found(settings, series.temperature, len(atoms))),
        drift=_drift(series.time, series.conserved_energy, len(atoms)),
    )


def _drift(time: NDArray[np.float64], conserved: NDArray[np.float64] | None, n_atoms: int) -> float | None:
    if conserved is None or len(time) < 3:
        return None
    slope, _ = np.polyfit(time - time.mean(), conserved - conserved.mean(), 1)
    return float(slope) * 1000 / n_atoms
