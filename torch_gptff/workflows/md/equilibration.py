"""A run before the run, from which the structure and its velocities are taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ase import Atoms

from torch_gptff.workflows.md.run import MolecularDynamicsFrame, molecular_dynamics
from torch_gptff.workflows.md.settings import MolecularDynamicsSettings
from torch_gptff.workflows.md.trajectory import TrajectoryFile


def equilibration(settings: MolecularDynamicsSettings, picoseconds: float) -> MolecularDynamicsSettings:
    """Settings of an equilibration: those of the run at its first temperature and without strain. At constant energy
    there is nothing to equilibrate with, and a thermostat is taken.

    Args:
        settings: of the run
        picoseconds: of the equilibration, rounded up to whole frames
    """
    frames = max(1, -int(-picoseconds * 1000 // (settings.timestep * settings.interval)))
    return replace(
        settings,
        ensemble="nvt" if settings.ensemble == "nve" else settings.ensemble,
        steps=frames * settings.interval,
        final_temperature=None,
        strain=0.0,
    )


def equilibrated(
    atoms: Atoms,
    calculator: Any,
    settings: MolecularDynamicsSettings,
    trajectory: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    on_frame: Callable[[MolecularDynamicsFrame], object] | None = None,
) -> tuple[Atoms, str | None]:
    """The structure at the end of an equilibration, with its velocities, and how it ended, if not well.

    Args:
        atoms: the structure; left as it is
        calculator: of its forces
        settings: see :func:`equilibration`
        trajectory: that of the run; the equilibration has one beside it, ``md-equilibration.traj``
        resume: go on with that file where it exists
        overwrite: replace it where it exists and is not gone on with
        on_frame: called at every frame

    Raises:
        MolecularDynamicsError, TrajectoryError, StructureError: see
            :func:`~torch_gptff.workflows.molecular_dynamics`.
    """
    path = Path(trajectory)
    path = path.with_name(f"{path.stem}-equilibration{path.suffix}")
    run = molecular_dynamics(
        atoms, calculator, settings, trajectory=path, resume=resume, overwrite=overwrite, on_frame=on_frame
    )
    with TrajectoryFile(path) as frames:
        last = frames[-1]
    moved = atoms.copy()
    moved.set_cell(last.cell)
    moved.positions[:] = last.positions
    moved.set_momenta(last.get_momenta(), apply_constraint=False)
    return moved, run.problem
