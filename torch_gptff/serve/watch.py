"""Progress of a job, as reported by the process that computes it."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

    from torch_gptff.report import Table
    from torch_gptff.report.structures import Trajectory

PAUSE_S = 0.15
"""Smallest time between two messages, s."""

Send = Callable[[dict[str, Any]], None]
"""Takes a message, in types that JSON knows."""


class Watch:
    """Follows a command, as :class:`torch_gptff.cli.watching.Watcher` says.

    Args:
        send: takes messages
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._sent = float("-inf")
        self._pending: dict[str, Any] = {}
        self._points: list[list[float]] = []
        self._frames: list[dict[str, Any]] = []
        self._symbols: list[str] | None = None
        self._columns: list[str] = []
        self._last = float("inf")

    def told(self, words: str, calculator: Calculator | None, state: Any, share: float | None) -> None:
        """Tell how the computation stands, and, where a state is given, where the atoms are."""
        self._pending |= {"words": words, "share": share}
        atoms = getattr(calculator, "atoms", None)
        curve = _curve(state)
        if curve is not None:
            self._drew(*curve)
        elif _is_step(state) and atoms is not None:
            self._reached(atoms, state)
        if monotonic() - self._sent >= PAUSE_S:
            self.flush()

    def found(self, table: Table) -> None:
        """Tell the table of results, by its first row's label no more than by what it says."""
        columns = [{"name": column.name, "unit": column.unit} for column in table.columns]
        rows = [[{"text": cell.text, "is_number": cell.is_number} for cell in row] for row in table.cells()]
        self.flush()
        self._send({"event": "found", "columns": columns, "rows": rows})

    def flush(self) -> None:
        """Send what is pending."""
        if self._pending or self._points:
            self._send({"event": "told", **self._pending, "points": self._points, "frames": self._frames})
        self._pending, self._points, self._frames = {}, [], []
        self._sent = monotonic()

    def _drew(self, columns: list[str], points: list[list[float]], trajectory: Trajectory) -> None:
        """Send the curve of a result, which takes the place of that of the computation."""
        from torch_gptff.report.structures import InCell, Trajectory, frame, scene, thin

        self.flush()
        self._symbols = None
        frames = thin(trajectory.frames, trajectory.along, trajectory.label)
        begun = {"scene": scene(Trajectory(frames.frames[:1], frames.along[:1], frames.label)), "columns": columns}
        self._send({"event": "begun", **begun, "label": frames.label, "most": len(frames.frames)})
        self._points = [[_short(value) for value in point] for point in points]
        if len(frames.frames) > 1:
            place = InCell(frames.frames[0])
            steps = zip(frames.frames, frames.along, strict=True)
            self._frames = [{"along": round(along, 4), **frame(atoms, place)} for atoms, along in steps]

    def _reached(self, atoms: Atoms, state: Any) -> None:
        from torch_gptff.report.structures import InCell, Trajectory, frame, most_frames, scene

        label, along, values = _point(state, len(atoms))
        symbols = atoms.get_chemical_symbols()
        if symbols != self._symbols or along <= self._last or list(values) != self._columns:
            self.flush()
            self._symbols, self._columns, self._place = symbols, list(values), InCell(atoms)
            begun = {"scene": scene(Trajectory([atoms], [along], label)), "most": most_frames(len(atoms))}
            self._send({"event": "begun", **begun, "label": label, "columns": self._columns})
        self._last = along
        self._points.append([_short(value) for value in (along, *values.values())])
        self._frames.append({"along": _short(along), **frame(atoms, self._place)})


def _is_step(state: Any) -> bool:
    from torch_gptff.workflows import MolecularDynamicsFrame, RelaxationStep

    return isinstance(state, RelaxationStep | MolecularDynamicsFrame)


def _curve(state: Any) -> tuple[list[str], list[list[float]], Trajectory] | None:
    """Names of the values of the curve of a result, with their units, its points, and the structures along it; ``None``
    for anything else."""
    from torch_gptff.report.structures import Trajectory
    from torch_gptff.workflows import EquationOfState, PhononSpectrum
    from torch_gptff.workflows.eos.curve import scale_volume

    if isinstance(state, EquationOfState):
        n_atoms = len(state.atoms)
        volumes, energies = state.volumes / n_atoms, state.energies / n_atoms
        scaled = [scale_volume(state.atoms, each / state.atoms.get_volume()) for each in state.volumes]
        cells = Trajectory(scaled, volumes.tolist(), "volume (Å³/atom)")
        return ["energy (eV/atom)"], np.stack([volumes, energies], 1).tolist(), cells
    if isinstance(state, PhononSpectrum):
        points = np.stack([state.dos_frequencies, state.dos], 1).tolist()
        return ["density of states (1/THz)"], points, Trajectory([state.atoms], [0.0], "frequency (THz)")
    return None


def _point(state: Any, n_atoms: int) -> tuple[str, float, dict[str, float]]:
    """The name and the value of the coordinate of a state (step or time), and its values by names with units."""
    from torch_gptff.workflows import RelaxationStep

    if isinstance(state, RelaxationStep):
        return "step", state.number, {"energy (eV/atom)": state.energy / n_atoms, "largest force (eV/Å)": state.fmax}
    energy, temperature = state.potential_energy / n_atoms, state.temperature
    return "time (ps)", state.time_fs / 1000, {"energy (eV/atom)": energy, "temperature (K)": temperature}


def _short(value: float) -> float:
    return float(f"{value:.9g}")
