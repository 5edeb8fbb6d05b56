"""DimeNet++ of PyG, its submodules on this package's periodic graph, with random weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.nn import DimeNetPlusPlus

from opponents.ours import prebuilt
from torch_gptff import GPTFFCalculator, Potential
from torch_gptff.graph import structure_index
from torch_gptff.models import EnergyModel
from torch_gptff.nn import sum_by_structure

__all__ = ["calculator", "prebuilt"]


class PeriodicDimeNet(EnergyModel):
    """`DimeNet++ <https://arxiv.org/abs/2011.14115>`_ at its published widths, with the two cutoffs of GPTFF."""

    name = "dimenet++"
    elements = frozenset(range(1, 95))
    is_atomwise = is_local = is_extensive = True
    is_smooth = False  # angles end at their cutoff without an envelope

    def __init__(self, cutoff: float = 5.0, angle_cutoff: float = 3.5) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.angle_cutoff = angle_cutoff
        self.net = DimeNetPlusPlus(
            hidden_channels=128,
            out_channels=1,
            num_blocks=4,
            int_emb_size=64,
            basis_emb_size=8,
            out_emb_channels=256,
            num_spherical=7,
            num_radial=6,
            cutoff=cutoff,
            output_initializer="glorot_orthogonal",
        )

    def interaction_energy(self, graph: Data, vectors: Tensor) -> Tensor:
        return sum_by_structure(self.atomic_energies(graph, vectors), *structure_index(graph))

    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        net = self.net
        neighbour, centre = graph.edge_index
        # What an angle at atom j, between bonds to i and to k, updates is the message from j to i.
        to_i, kj = graph.angle_index
        ji = reversed_bonds(graph)[to_i]
        r_ji, r_kj = vectors[to_i], -vectors[kj]
        angle = torch.atan2(torch.linalg.cross(r_ji, r_kj).norm(dim=-1), (r_ji * r_kj).sum(dim=-1))
        length = vectors.norm(dim=-1)
        radial, spherical = net.rbf(length), net.sbf(length, angle, kj)
        x = net.emb(graph.z, radial, centre, neighbour)
        energy = net.output_blocks[0](x, radial, centre, num_nodes=len(graph.z))
        for interaction, output in zip(net.interaction_blocks, net.output_blocks[1:], strict=True):
            x = interaction(x, radial, spherical, kj, ji)
            energy = energy + output(x, radial, centre, num_nodes=len(graph.z))
        return energy.squeeze(-1).double()


def reversed_bonds(graph: Data) -> Tensor:
    """For every bond, the column of the same bond seen from its other end, ``[E]``."""
    neighbour, centre = graph.edge_index
    shift = graph.edge_shift.long()
    reach = int(shift.abs().max()) if shift.numel() else 0
    base = 2 * reach + 1

    def key(first: Tensor, second: Tensor, cells: Tensor) -> Tensor:
        a, b, c = (cells + reach).unbind(dim=-1)
        return (((first * len(graph.z) + second) * base + a) * base + b) * base + c

    ordered, order = key(neighbour, centre, shift).sort()
    return order[torch.searchsorted(ordered, key(centre, neighbour, -shift))]


def calculator(device: str, skin: float = 0.0) -> Any:
    """An ASE calculator."""
    torch.manual_seed(0)
    return GPTFFCalculator(Potential(PeriodicDimeNet()), device=device, skin=skin)
