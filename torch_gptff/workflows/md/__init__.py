"""Molecular dynamics, and the trajectories that it writes."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.workflows.md.result import MolecularDynamicsRun
    from torch_gptff.workflows.md.run import MolecularDynamicsFrame, molecular_dynamics
    from torch_gptff.workflows.md.settings import MolecularDynamicsSettings
    from torch_gptff.workflows.md.trajectory import TrajectoryFile, TrajectoryWriter, open_trajectory

__all__ = [
    "MolecularDynamicsFrame",
    "MolecularDynamicsRun",
    "MolecularDynamicsSettings",
    "TrajectoryFile",
    "TrajectoryWriter",
    "molecular_dynamics",
    "open_trajectory",
]

import_lazily(
    __name__,
    {
        ".result": "MolecularDynamicsRun",
        ".run": "MolecularDynamicsFrame molecular_dynamics",
        ".settings": "MolecularDynamicsSettings",
        ".trajectory": "TrajectoryFile TrajectoryWriter open_trajectory",
    },
)
