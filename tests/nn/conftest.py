"""A small graph with what real ones have: bonds of one pair of atoms, of an atom with itself, and an atom alone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from torch_gptff.graph.angles import angle_pairs

CHANNELS, FEATURES = 8, 5


@dataclass
class LayerInput:
    """Random features: atoms ``x [N, d]``, bonds ``e [E, d]``, radial ``[E, R]``, unit vectors ``direction [E, 3]``."""

    x: Tensor
    edge_index: Tensor
    e: Tensor
    radial: Tensor
    direction: Tensor
    angle_index: Tensor

    @property
    def bonds(self) -> list[tuple[int, int, int]]:
        """Every bond's number, neighbour and centre."""
        return [(number, *pair) for number, pair in enumerate(self.edge_index.T.tolist())]


@pytest.fixture
def graph() -> LayerInput:
    neighbour = [1, 1, 2, 0, 0, 0, 2, 0, 1, 4, 3]
    centre = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4]
    generator = torch.Generator().manual_seed(3)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    n_bonds = len(centre)
    return LayerInput(
        x=random(6, CHANNELS),  # atom 5 has no bond
        edge_index=torch.tensor([neighbour, centre]),
        e=random(n_bonds, CHANNELS),
        radial=random(n_bonds, FEATURES),
        direction=normalize(random(n_bonds, 3), dim=-1),
        angle_index=angle_pairs(torch.tensor(centre), torch.ones(n_bonds), 1.0),
    )


@pytest.fixture(params=["message by message", "fused", "fused and frozen"])
def paths(request: pytest.FixtureRequest):
    """A function that sets one of a layer's ways to compute the same."""

    def choose(layer):
        layer = layer.double()
        layer.fuse = request.param != "message by message"
        return layer.requires_grad_(request.param != "fused and frozen")

    return choose
