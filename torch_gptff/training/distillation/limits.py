"""Frames that are left out, and why."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from torch_gptff.training.distillation.settings import DistillationSettings
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

TOO_CLOSE = "atoms too close"
LARGE_FORCE = "force above the limit"
LARGE_STRESS = "stress above the limit"
NOT_FINITE = "the teacher's labels are no finite numbers"
NO_PERIODS = "no periods to strain"
NO_SUBSTITUTE = "no element to put in"
STOPPED = "molecular dynamics stopped: "
FAILED = "the teacher failed: "


def are_too_close(atoms: Atoms, fraction: float) -> bool:
    """Whether two atoms, images among them, are nearer than this fraction of the sum of their covalent radii."""
    return len(neighbor_list("i", atoms, fraction * covalent_radii[atoms.numbers])) > 0


def excess(
    forces: NDArray[np.float64] | None, stress: NDArray[np.float64] | None, settings: DistillationSettings
) -> str | None:
    """Why labels are too large to learn from; ``None`` where they are not.

    Args:
        forces: eV/Å, ``[N, 3]``
        stress: eV/Å³, ``[6]``
        settings: with the limits
    """
    if forces is not None and np.linalg.norm(forces, axis=1).max(initial=0) > settings.max_force:
        return LARGE_FORCE
    if stress is not None and np.abs(stress).max() * GPA_PER_EV_PER_ANGSTROM3 > settings.max_stress:
        return LARGE_STRESS
    return None
