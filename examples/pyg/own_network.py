"""Layers of GPTFF in networks of one's own, and a head of one's own on the features of atoms.

python examples/pyg/own_network.py
"""

import torch
from ase.build import bulk
from torch import Tensor, nn
from torch_geometric.data import Data

from torch_gptff.graph import BondAngles, CrystalData, PeriodicRadiusGraph
from torch_gptff.graph.geometry import bond_vectors
from torch_gptff.models import GPTFF
from torch_gptff.nn import (
    AngleConv,
    AtomConv,
    BondConv,
    GeometricAttention,
    GeometricTransformer,
    GraphTransformer,
    LocalAttention,
    RadialFeatures,
)
from torch_gptff.ops.bond_harmonics import bond_harmonics


class PaperNetwork(nn.Module):
    """One round of messages of angles, bonds and atoms, bonds narrower than atoms, then attention to neighbours."""

    def __init__(self, channels: int = 32, edge_channels: int = 16, cutoff: float = 5.0, angle_cutoff: float = 3.5):
        super().__init__()
        self.graph = PeriodicRadiusGraph(cutoff)
        self.angles = BondAngles(angle_cutoff)
        self.radial = RadialFeatures(8, cutoff, 6)
        self.embedding = nn.Embedding(119, channels)
        self.lin_bond = nn.Linear(self.radial.num_features, edge_channels)
        self.angle = AngleConv(channels, self.radial.num_features, edge_channels, aggr="mean")
        self.bond = BondConv(channels, self.radial.num_features, edge_channels)
        self.atom = AtomConv(channels, self.radial.num_features, edge_channels, aggr="max")
        self.attention = GraphTransformer(LocalAttention(channels, 2, self.radial.num_features), channels, 64)
        self.lin_out = nn.Linear(channels, 1)

    def forward(self, data: Data) -> Tensor:
        """One number of every atom, ``[N, 1]``."""
        graph = self.angles(self.graph(data))
        vectors = bond_vectors(graph).float()
        lengths = vectors.norm(dim=-1)
        radial = self.radial(lengths)
        x, e = self.embedding(graph.z), self.lin_bond(radial)
        direction = vectors / lengths.unsqueeze(-1)
        e = e + self.angle(x, graph.edge_index, e, graph.angle_index, radial, direction)
        e = self.bond(x, graph.edge_index, e, radial)
        x = x + self.atom(x, graph.edge_index, e, radial)
        x = x + self.attention((x, x), graph.edge_index, radial)
        return self.lin_out(x)


class GeometricNetwork(nn.Module):
    """Two layers whose features turn with the crystal; the vectors of the last give a vector of every atom."""

    def __init__(self, channels: int = 32, degree: int = 2, heads: int = 2, cutoff: float = 5.0):
        super().__init__()
        self.degree = degree
        self.graph = PeriodicRadiusGraph(cutoff)
        self.embedding = nn.Embedding(119, channels)
        self.layers = nn.ModuleList(
            GeometricTransformer(channels, degree, heads, cutoff, 6, 64, first=first) for first in (True, False)
        )
        self.lin_out = nn.Linear(channels, 1, bias=False)

    def forward(self, data: Data) -> Tensor:
        """A vector of every atom, ``[N, 3]``."""
        graph = self.graph(data)
        lengths, harmonics = bond_harmonics(bond_vectors(graph).float(), self.degree)

        def attend(attention: GeometricAttention, y: Tensor, features: list[Tensor]) -> tuple:
            return attention(y, features, graph.edge_index, lengths, harmonics)

        x = self.embedding(graph.z)
        features: list[Tensor] = []
        for layer in self.layers:
            x, features = layer(x, features, attend)
        return self.lin_out(features[0]).squeeze(-1)


class OwnHead(nn.Module):
    """A head on the features of atoms of any GPTFF, a trained one too: here, classes of sites."""

    def __init__(self, body: GPTFF, classes: int) -> None:
        super().__init__()
        self.body = body
        self.lin = nn.Linear(body.config.channels, classes)

    def forward(self, data: Data) -> Tensor:
        """Scores of every atom, ``[N, classes]``."""
        return self.lin(self.body.embed(data.z, data.pos, data.get("batch"), data.cell, data.pbc))


def crystal() -> CrystalData:
    """Rattled NaCl."""
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    atoms.rattle(0.1, seed=0)
    return CrystalData.from_ase(atoms)


if __name__ == "__main__":
    torch.manual_seed(0)
    for network in (PaperNetwork(), GeometricNetwork(), OwnHead(GPTFF(hidden_channels=32, num_layers=1), 4)):
        print(type(network).__name__, network(crystal()).shape)
