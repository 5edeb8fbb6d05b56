"""Trajectories of molecular dynamics: written a frame at a time, read a frame at a time, and never lost by a kill.

The format is ASE's ``.traj``: ``ase gui`` and :func:`ase.io.read` open it. See :mod:`torch_gptff.workflows.md.ulm`
for what a kill leaves of it.
"""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, overload

import numpy as np
from ase import Atoms
from ase.io.trajectory import TrajectoryReader as AseReader
from ase.io.trajectory import TrajectoryWriter as AseWriter
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from torch_gptff.errors import TrajectoryError
from torch_gptff.io.files import names_file
from torch_gptff.report import Column, Table
from torch_gptff.workflows.md.ulm import WithIndex, find_frames, keep_frames

STATE = "restart"
"""In ``atoms.info`` of a frame that a run can be continued from: what positions and momenta do not tell."""


class TrajectoryWriter:
    """Writes frames to a ``.traj`` file, each whole before the header counts it.

    A frame holds positions as they are integrated, never wrapped back into the cell, momenta, cell, energy, stress,
    and in ``info`` the ``step``, the ``time_fs`` and what else is known; elements, masses, periodic directions and
    constraints stand in the first one.

    Args:
        path: a new file, or one to append to
        description: of the run, kept in the file: what JSON can hold
        keep: frames of an existing file that stay; what is behind them is cut off. ``None``: there is no such file

    Raises:
        TrajectoryError: there is such a file, and ``keep`` does not say what to do with it; or it has fewer frames.
    """

    def __init__(self, path: str | Path, description: Mapping[str, Any], keep: int | None = None) -> None:
        self.path = Path(path)
        if keep is None and self.path.exists():
            raise TrajectoryError(
                f"{path} exists: name another file, continue that run (resume), or replace it (overwrite)"
            )
        if keep is not None:
            keep_frames(self.path, keep)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = AseWriter(str(self.path), "a")
        self._writer.set_description(dict(description))

    def write(
        self,
        atoms: Atoms,
        *,
        step: int,
        time_fs: float,
        values: Mapping[str, float] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """Append a frame, with the energy and the stress that the calculator of ``atoms`` has at hand.

        Args:
            atoms: the frame
            step: steps of integration so far
            time_fs: since the start, fs
            values: other numbers of the frame, by name
            state: what else a restart from this frame needs, as JSON can hold it; such a frame is put on the disk
                before this returns
        """
        arrays = {"numbers": atoms.numbers, "positions": atoms.positions, "momenta": atoms.get_momenta()}
        frame = Atoms(cell=atoms.cell, pbc=atoms.pbc, constraint=atoms.constraints, **arrays)
        if atoms.has("masses"):
            frame.set_masses(atoms.get_masses())
        frame.info = {"step": int(step), "time_fs": float(time_fs), **(values or {})}
        if state is not None:
            frame.info[STATE] = dict(state)
        results = {} if atoms.calc is None else atoms.calc.results
        with names_file(self.path):
            self._writer.write(frame, **{name: results[name] for name in ("energy", "stress") if name in results})
            if state is not None:
                os.fsync(self._writer.backend.fd.fileno())

    def close(self) -> None:
        self._writer.close()

    def __len__(self) -> int:
        return len(self._writer.backend)

    def __enter__(self) -> TrajectoryWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Thermodynamics:
    """Numbers of every frame of a run that this package made.

    Attributes:
        step: of integration, ``[F]``
        time: fs, ``[F]``
        temperature: K, ``[F]``
        potential_energy: eV, ``[F]``
        kinetic_energy: eV, ``[F]``
        cells: Å, ``[F, 3, 3]``
        stress: without its kinetic part, eV/Å³, ``[F, 3, 3]``; ``None`` where frames have none
        pressure: with its kinetic part, GPa, ``[F]``; ``None`` where frames have none
        conserved_energy: of atoms, thermostat and barostat, eV, ``[F]``; ``None`` where nothing is conserved
    """

    step: NDArray[np.int64]
    time: NDArray[np.float64]
    temperature: NDArray[np.float64]
    potential_energy: NDArray[np.float64]
    kinetic_energy: NDArray[np.float64]
    cells: NDArray[np.float64]
    stress: NDArray[np.float64] | None
    pressure: NDArray[np.float64] | None
    conserved_energy: NDArray[np.float64] | None

    @property
    def volume(self) -> NDArray[np.float64]:
        """Å³, ``[F]``."""
        return np.abs(np.linalg.det(self.cells))

    def table(self) -> Table:
        """A row for each frame."""
        lengths = np.linalg.norm(self.cells, axis=2)
        series: dict[Column, NDArray[Any] | None] = {
            Column("step"): self.step,
            Column("time", "fs"): self.time,
            Column("temperature", "K"): self.temperature,
            Column("pressure", "GPa"): self.pressure,
            Column("potential energy", "eV"): self.potential_energy,
            Column("kinetic energy", "eV"): self.kinetic_energy,
            Column("total energy", "eV"): self.potential_energy + self.kinetic_energy,
            Column("conserved energy", "eV"): self.conserved_energy,
            Column("volume", "Å³"): self.volume if self.volume.all() else None,
            **{Column(name, "Å"): lengths[:, k] for k, name in enumerate("abc")},
        }
        known = {column: values for column, values in series.items() if values is not None}
        return Table(list(known), [list(row) for row in zip(*(each.tolist() for each in known.values()), strict=True)])


class TrajectoryFile(Sequence[Atoms]):
    """The frames of a ``.traj`` file, read when they are asked for: ``len``, indices, slices and iteration.

    A frame is ASE ``Atoms``: ``positions`` (Å, unwrapped), ``get_velocities()``, ``cell``, ``get_potential_energy()``
    (eV), ``get_stress()`` (eV/Å³, without the kinetic part), ``info["step"]`` and ``info["time_fs"]``. A slice is a
    sequence of the same kind, read when it is asked for.

    What is damaged is told by a warning, and the whole frames are there.

    Args:
        path: the file

    Attributes:
        description: of the run, as :class:`TrajectoryWriter` was given it; empty for other ``.traj`` files
        damage: what is missing at the end of the file, in words; ``None`` where nothing is

    Raises:
        FileNotFoundError: no such file.
        TrajectoryError: it is no such file, or holds no whole frame.
    """

    description: dict[str, Any]

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"no trajectory {path}")
        index = find_frames(self.path)
        self.damage = index.damage
        if not index.offsets:
            raise TrajectoryError(f"{path} holds no whole frame")
        if self.damage is not None:
            warnings.warn(f"{path}: {self.damage}; {len(index.offsets)} whole frames are read", stacklevel=2)
        source: Any = self.path.open("rb") if index.is_sound else WithIndex(self.path, index)
        self._reader = AseReader(source)
        self._close = weakref.finalize(self._reader, source.close)
        self._chosen = range(len(index.offsets))
        self.description = dict(self._reader.description or {})

    @property
    def time_fs(self) -> NDArray[np.float64]:
        """The time of every frame, fs, ``[frames]``.

        Raises:
            TrajectoryError: the frames do not tell: another program wrote them.
        """
        return self.values("time_fs")

    @property
    def steps(self) -> NDArray[np.int64]:
        """The step of every frame, ``[frames]``; raises as :attr:`time_fs`."""
        return self.values("step").astype(np.int64)

    def values(self, key: str) -> NDArray[np.float64]:
        """A number in ``info`` of every frame, ``[frames]``; no arrays are read.

        Raises:
            TrajectoryError: a frame does not tell it.
        """
        found = []
        for number in self._chosen:
            info = self._reader.backend[number].get("info") or {}
            if key not in info:
                raise TrajectoryError(
                    f"{self.path}: frame {number} does not tell its {key}: another program wrote the file"
                )
            found.append(info[key])
        return np.array(found, dtype=np.float64)

    def thermodynamics(self) -> Thermodynamics:
        """Energies, temperatures, pressures and cells of every frame; positions and velocities are not read.

        Raises:
            TrajectoryError: a frame does not tell: another program wrote the file.
        """
        rows: dict[str, list[Any]] = {}
        for number in self._chosen:
            frame = self._reader.backend[number]
            info, results = frame.get("info") or {}, frame.get("calculator")
            try:
                row = {
                    "step": info["step"],
                    "time": info["time_fs"],
                    "temperature": info["temperature_K"],
                    "potential_energy": results.energy,
                    "kinetic_energy": info["kinetic_eV"],
                    "cells": frame.cell,
                    "stress": results.get("stress"),
                    "pressure": info.get("pressure_GPa"),
                    "conserved_energy": info.get("conserved_eV"),
                }
            except (KeyError, AttributeError) as error:
                raise TrajectoryError(
                    f"{self.path}: frame {number} does not tell its {error}: it is of another program"
                ) from error
            for name, value in row.items():
                rows.setdefault(name, []).append(value)
        known: dict[str, Any] = {name: None if None in values else np.array(values) for name, values in rows.items()}
        if known["stress"] is not None:
            known["stress"] = np.array([voigt_6_to_full_3x3_stress(each) for each in rows["stress"]])
        return Thermodynamics(**known)

    def last_restart(self) -> int | None:
        """The last frame with a state to continue from; ``None`` where there is none."""
        for place in range(len(self) - 1, -1, -1):
            if STATE in (self._reader.backend[self._chosen[place]].get("info") or {}):
                return place
        return None

    def close(self) -> None:
        """Close the file, which otherwise closes with the last object that reads it."""
        self._close()

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, number: int) -> Atoms: ...

    @overload
    def __getitem__(self, number: slice) -> TrajectoryFile: ...

    def __getitem__(self, number: int | slice) -> Atoms | TrajectoryFile:
        if isinstance(number, slice):
            part = object.__new__(type(self))
            part.__dict__.update(self.__dict__, _chosen=self._chosen[number])
            return part
        frame = self._chosen[number]
        try:
            atoms = self._reader[frame]
        except (ValueError, KeyError, TypeError) as error:  # whatever bytes of another kind are read as
            raise TrajectoryError(f"{self.path}: frame {frame} is damaged: {error}") from error
        return atoms

    def __iter__(self) -> Iterator[Atoms]:
        return (self[number] for number in range(len(self)))

    def __enter__(self) -> TrajectoryFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


def open_trajectory(path: str | Path) -> Sequence[Atoms]:
    """The frames of a trajectory: a :class:`TrajectoryFile` of a ``.traj``, and the list of all frames of any other.

    Args:
        path: a file, or ``file@index`` for a part of its frames: ``md.traj@1000:``, ``md.xyz@::10``

    Raises:
        FileNotFoundError, TrajectoryError: see :class:`TrajectoryFile`.
        UnreadableStructureError: see :func:`~torch_gptff.io.structures.read_structures`.
    """
    from torch_gptff.io.structures import read_structures, split_index

    file, index = split_index(str(path))
    if file.suffix != ".traj":
        return read_structures(path)
    frames = TrajectoryFile(file)
    return frames if index is None else frames[index]
