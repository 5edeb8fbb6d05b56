"""Bond vectors, angles between bonds, and the forces and stress that a gradient by bond vectors gives."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.graph.data import structure_index

COSINE_SCALE = 1 - 1e-6
"""Every cosine is drawn in by this factor, so that its inverse would stay differentiable for collinear bonds."""


def bond_vectors(data: Data) -> Tensor:
    """Vectors from centre to neighbour, ``r_ij = R_j + S·cell − R_i`` in Å, ``[E, 3]``, in the dtype of ``pos``."""
    neighbour, centre = data.edge_index
    batch, n_structures = structure_index(data)
    shift = data.edge_shift.to(data.pos.dtype)
    cell = data.cell.to(data.pos.dtype)
    offset = shift @ cell[0] if n_structures == 1 else torch.einsum("es,esc->ec", shift, cell[batch[centre]])
    return data.pos[neighbour] - data.pos[centre] + offset


def angle_cosines(vectors: Tensor, lengths: Tensor, angle_index: Tensor) -> Tensor:
    """Cosines of the angles between pairs of bonds with one centre, ``[A]``.

    Args:
        vectors: bond vectors in Å, ``[E, 3]``
        lengths: their lengths in Å, ``[E]``
        angle_index: the pairs of bonds, ``[2, A]``
    """
    directions = vectors / lengths.unsqueeze(-1)
    first, second = angle_index
    return (directions[first] * directions[second]).sum(dim=-1) * COSINE_SCALE


def forces_from_bonds(gradient: Tensor, edge_index: Tensor, n_atoms: int) -> Tensor:
    """Forces in eV/Å, ``[N, 3]``, from ``g = ∂E/∂r`` of every bond, ``[E, 3]``.

    A bond vector runs from its centre to its neighbour, so ``F_i = Σ_{centre=i} g − Σ_{neighbour=i} g``.
    """
    neighbour, centre = edge_index
    forces = gradient.new_zeros(n_atoms, 3)
    return forces.index_add(0, centre, gradient).index_add(0, neighbour, -gradient)


def stress_from_bonds(gradient: Tensor, vectors: Tensor, data: Data) -> Tensor:
    """Stress in eV/Å³, ``[B, 3, 3]`` float64, ``sym(Σ r ⊗ g)/V``; NaN for a structure whose cell has no volume."""
    batch, n_structures = structure_index(data)
    outer = vectors.double().unsqueeze(-1) * gradient.double().unsqueeze(-2)
    virial = outer.new_zeros(n_structures, 3, 3).index_add(0, batch[data.edge_index[1]], outer)
    volume = torch.linalg.det(data.cell.double()).abs()
    volume = torch.where(volume > 0, volume, torch.full_like(volume, torch.nan))
    return (virial + virial.mT) / (2 * volume).view(-1, 1, 1)
