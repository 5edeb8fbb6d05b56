"""SchNet of PyG, its submodules on this package's periodic graph, with random weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.nn import SchNet

from opponents.ours import prebuilt
from torch_gptff import GPTFFCalculator, Potential
from torch_gptff.graph import structure_index
from torch_gptff.models import EnergyModel
from torch_gptff.nn import sum_by_structure

__all__ = ["calculator", "prebuilt"]


class PeriodicSchNet(EnergyModel):
    """`SchNet <https://arxiv.org/abs/1706.08566>`_ at PyG's widths, with the cutoff of GPTFF."""

    name = "schnet"
    elements = frozenset(range(1, 100))
    is_atomwise = is_local = is_extensive = is_smooth = True

    def __init__(self, cutoff: float = 5.0) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.net = SchNet(cutoff=cutoff)

    def interaction_energy(self, graph: Data, vectors: Tensor) -> Tensor:
        return sum_by_structure(self.atomic_energies(graph, vectors), *structure_index(graph))

    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        length = vectors.norm(dim=-1)
        x, radial = self.net.embedding(graph.z), self.net.distance_expansion(length)
        for interaction in self.net.interactions:
            x = x + interaction(x, graph.edge_index, length, radial)
        return self.net.lin2(self.net.act(self.net.lin1(x))).squeeze(-1).double()


def calculator(device: str, skin: float = 0.0) -> Any:
    """An ASE calculator."""
    torch.manual_seed(0)
    return GPTFFCalculator(Potential(PeriodicSchNet()), device=device, skin=skin)
