"""Limits for frames, and reasons to leave frames out."""

from __future__ import annotations

import math

import numpy as np
import torch
from ase import Atoms
from ase.data import covalent_radii
from numpy.typing import NDArray

from torch_gptff.graph.contacts import near_pairs
from torch_gptff.graph.convert import from_ase
from torch_gptff.nn import ZBLRepulsion
from torch_gptff.training.distillation.settings import DistillationSettings
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

TOO_CLOSE = "atoms too close"
LARGE_FORCE = "force above the limit"
LARGE_STRESS = "stress above the limit"
NOT_FINITE = "the teacher's labels are no finite numbers"
LARGE_REPULSION = "nuclei repel each other above the limit of forces"
NO_PERIODS = "no periods to strain"
NO_SUBSTITUTE = "no element to put in"
NO_NEIGHBOUR = "an atom has no neighbour to collide with"
STOPPED = "molecular dynamics stopped: "
FAILED = "the teacher failed: "


def are_too_close(atoms: Atoms, fraction: float) -> bool:
    """Whether two atoms, images among them, are nearer than this fraction of the sum of their covalent radii."""
    return len(near_pairs(from_ase(atoms), fraction)[0]) > 0


def strongest_repulsion(atoms: Atoms) -> float:
    """The greatest force between two nuclei in eV/Å, by :class:`~torch_gptff.nn.ZBLRepulsion`; 0 where none touch."""
    i, j, distances = near_pairs(from_ase(atoms), 1.0)
    z, radii = torch.as_tensor(atoms.numbers), covalent_radii[atoms.numbers]
    r = torch.tensor(distances, requires_grad=True)
    energies = ZBLRepulsion(math.inf).pair_energy(z[i], z[j], r, torch.tensor(radii[i] + radii[j]))
    (slopes,) = torch.autograd.grad(energies.sum(), r)
    return float(slopes.abs().max()) if len(slopes) else 0.0


def excess(
    forces: NDArray[np.float64] | None, stress: NDArray[np.float64] | None, settings: DistillationSettings
) -> str | None:
    """Reason to leave a frame out because of its labels; ``None`` where they are within the limits.

    Args:
        forces: eV/Å, ``[N, 3]``
        stress: eV/Å³, ``[6]``
        settings: settings with the limits
    """
    if forces is not None and np.linalg.norm(forces, axis=1).max(initial=0) > settings.max_force:
        return LARGE_FORCE
    if stress is not None and np.abs(stress).max() * GPA_PER_EV_PER_ANGSTROM3 > settings.max_stress:
        return LARGE_STRESS
    return None
