"""Bond vectors, angles between bonds, and the forces and stress that a gradient by bond vectors gives."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.graph.data import structure_index

COSINE_SCALE = 1 - 1e-6
"""Cosines are scaled by this factor, so that arccos is differentiable for collinear bonds."""


def bond_vectors(data: Data) -> Tensor:
    """Vectors from centre to neighbour, ``r_ij = R_j + S·cell − R_i`` in Å, ``[E, 3]``, in the dtype of ``pos``."""
    neighbour, centre = data.edge_index
    batch, n_structures = structure_index(data)
    shift = data.edge_shift.to(data.pos.dtype)
    cell = data.cell.to(data.pos.dtype)
    if n_structures == 1:
        a, b, c = cell[0]
    else:
        structure = batch.index_select(0, centre)
        a, b, c = (vector.index_select(0, structure) for vector in cell.unbind(dim=1))
    # Products one by one: a matrix product may be taken in TF32, or in bfloat16 under autocast.
    offset = shift[:, 0:1] * a + shift[:, 1:2] * b + shift[:, 2:3] * c
    return data.pos.index_select(0, neighbour) - data.pos.index_select(0, centre) + offset


def volumes(cell: Tensor) -> Tensor:
    """Volumes of cells ``[B, 3, 3]`` in Å³, ``[B]``: exactly 0 where a vector is zero."""
    a, b, c = cell.unbind(dim=-2)
    return (torch.linalg.cross(a, b) * c).sum(dim=-1).abs()


def fractional_coordinates(pos: Tensor, cell: Tensor, batch: Tensor) -> Tensor:
    """Positions ``[N, 3]`` in Å as multiples of the vectors of their structures' cells ``[B, 3, 3]``."""
    return (pos.unsqueeze(-2) @ torch.linalg.inv(cell)[batch]).squeeze(-2)


def extents(coordinates: Tensor, batch: Tensor, n_structures: int) -> tuple[Tensor, Tensor]:
    """Smallest and largest coordinates of every structure, ``[B, 3]`` each; 0 for structures without atoms."""
    index = batch.unsqueeze(-1).expand_as(coordinates)
    zero = coordinates.new_zeros(n_structures, 3)
    low = zero.scatter_reduce(0, index, coordinates, "amin", include_self=False)
    high = zero.scatter_reduce(0, index, coordinates, "amax", include_self=False)
    return low, high


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
    vectors, gradient = vectors.double(), gradient.double()
    if n_structures == 1:
        virial = (vectors.mT @ gradient).unsqueeze(0)
    else:
        outer = vectors.unsqueeze(-1) * gradient.unsqueeze(-2)
        virial = outer.new_zeros(n_structures, 3, 3).index_add(0, batch[data.edge_index[1]], outer)
    volume = volumes(data.cell.double()).view(-1, 1, 1)
    # Filled in last: a volume of NaN would make NaN of every gradient that passes here, also of that of a crystal.
    stress = (virial + virial.mT) / (2 * torch.where(volume > 0, volume, torch.ones_like(volume)))
    return stress.masked_fill(volume == 0, torch.nan)
