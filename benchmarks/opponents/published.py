"""The published GPTFF code, through what its README and its signatures offer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from ase import Atoms
from gptff.model import mpredict
from gptff.utils_ import data as training_data
from torch import Tensor, nn

COSINE_SCALE = 1 - 1e-6


def calculator(device: str, checkpoint: str) -> mpredict.ASECalculator:
    """An ASE calculator."""
    return mpredict.ASECalculator(checkpoint, device)


def prebuilt(calculator: mpredict.ASECalculator, atoms: Atoms) -> Callable[[], Any]:
    """Energy, forces and stress of a graph that is there already."""
    graph = mpredict.collate_fn(calculator.graph.transform(atoms))
    return lambda: calculator.get_efs(graph)


def trainable(
    device: str, crystals: Sequence[Atoms], checkpoint: str
) -> tuple[nn.Module, Callable[[], tuple[Tensor, Tensor, Tensor]]]:
    """A model in training mode, and a function that gives its energies, forces and stresses of one batch."""
    published = calculator(device, checkpoint)
    model = published.model.train().requires_grad_()
    rows = [published._atoms_to_training_row(atoms) for atoms in crystals]
    z, pos, shift, cell, n_atoms, n_bonds, bonds, angles, n_angles, *_, reference = (
        value.to(device) for value in training_data.collate_fn(rows)
    )
    structure = torch.arange(len(n_atoms), device=device)
    of_atom, of_bond = structure.repeat_interleave(n_atoms), structure.repeat_interleave(n_bonds)
    centre, neighbour = bonds.unbind(dim=-1)
    first, second = angles.unbind(dim=-1)
    volume = torch.linalg.det(cell).abs().view(-1, 1, 1)

    def predict() -> tuple[Tensor, Tensor, Tensor]:
        moved = pos.detach().requires_grad_()
        strain = torch.zeros_like(cell, requires_grad=True)
        deformation = torch.eye(3, device=device) + strain
        r = torch.einsum("na,nab->nb", moved, deformation[of_atom])
        offset = torch.einsum("ea,eab,ebc->ec", shift, cell[of_bond], deformation[of_bond])
        vectors = r[neighbour] - r[centre] + offset
        lengths = vectors.norm(dim=-1)
        r_ij, r_ik = lengths[first], lengths[second]
        cosine = (vectors[first] * vectors[second]).sum(dim=-1) / (r_ij * r_ik)
        cosine = cosine.clamp(-1, 1) * COSINE_SCALE
        energy = model(z, lengths, n_atoms, r_ij, r_ik, cosine, bonds, n_angles, angles).flatten() + reference
        forces, virial = torch.autograd.grad(energy.sum(), (moved, strain), create_graph=True)
        return energy, -forces, virial / volume

    return model, predict
