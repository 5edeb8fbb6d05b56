"""Attention of atoms to their neighbours that carries geometry."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.typing import PairTensor

from torch_gptff.nn.radial_table import RadialTable
from torch_gptff.ops.geometric_attention import Neighbours, Spline, can_fuse, geometric_attention, messages


class GeometricAttention(MessagePassing):
    r"""Multi-head attention whose values turn with the crystal.

    A head weighs a neighbour by what both atoms are and by how far apart they are, and the centre receives features of
    degree 0 to ``L`` from the neighbour's own features and from where it lies:

    .. math::
        \alpha_{ij} &= 2\, \sigma\left( \frac{(W_q x_i) \cdot (R^s(r_{ij}) \odot W_k x_j)}{\sqrt{d_h}}
            + b(r_{ij}) \right) \\
        out^0_i &= \sum_j \alpha_{ij} \odot \left( R^0(r_{ij}) \odot W_v x_j
            + R^p(r_{ij}) \odot \sum_{lm} Y^l_m(\hat r_{ij})\, V^l_{jm} \right) \\
        out^l_{im} &= \sum_j \alpha_{ij} \odot \left( R^l(r_{ij}) \odot W_v x_j\, Y^l_m(\hat r_{ij})
            + R^v(r_{ij}) \odot V^l_{jm} \right)

    after the Euclidean attention of `SO3krates <https://arxiv.org/abs/2309.15126>`_, with the weights of `sigmoid
    attention <https://arxiv.org/abs/2409.04431>`_: the weight of a bond does not depend on other bonds. Matrices act on
    atoms; for a bond everything is elementwise. See :mod:`torch_gptff.ops.geometric_attention`.

    Args:
        channels: width ``c`` of the features of every degree
        degree: highest degree ``L``, at most 3
        heads: number of heads ``H``; divides ``channels``
        cutoff: cutoff radius of the bonds, Å
        envelope_exponent: exponent of the envelope of the radial functions, see :class:`~torch_gptff.nn.RadialTable`
        turns: whether atoms have features that turn, which they lack in a first layer
        num_radial: number of inputs of the network of the radial functions

    Shapes:
        - x ``[N, c]``, or a pair of the neighbours' ``[N, c]`` and the centres' ``[M, c]``; features of degree 1 to
          ``L`` of the neighbours, ``[N, 2 l + 1, c]`` each, none in a first layer; edge_index ``[2, E]`` (neighbour,
          centre), ascending by centre; lengths ``[E]`` in Å; harmonics ``[E, (L + 1)² − 1]``, see
          :func:`~torch_gptff.ops.bond_harmonics`
        - returns ``out^0 [M, c]``, ``out^l [M, 2 l + 1, c]`` of degree 1 to ``L``, and the sum of the weights under the
          envelope, ``[M, H]``
    """

    def __init__(
        self,
        channels: int,
        degree: int,
        heads: int,
        cutoff: float,
        envelope_exponent: int,
        turns: bool,
        num_radial: int = 16,
    ) -> None:
        super().__init__(aggr="add", node_dim=0)
        self.fuse = True
        self.channels, self.degree, self.heads = channels, degree, heads
        self.lin_query = nn.Linear(channels, channels)
        self.lin_key = nn.Linear(channels, channels, bias=False)
        self.lin_value = nn.Linear(channels, channels, bias=False)
        self.radial = RadialTable(channels, degree, heads, turns, cutoff, envelope_exponent, num_radial)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        super().reset_parameters()
        for module in (self.lin_query, self.lin_key, self.lin_value, self.radial):
            module.reset_parameters()

    def forward(
        self,
        x: Tensor | PairTensor,
        features: Sequence[Tensor],
        edge_index: Tensor,
        lengths: Tensor,
        harmonics: Tensor,
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        x_neighbour, x_centre = (x, x) if isinstance(x, Tensor) else x
        query = self.lin_query(x_centre) * (self.channels // self.heads) ** -0.5
        key, value = self.lin_key(x_neighbour), self.lin_value(x_neighbour)
        radial = self.radial()
        if self.fuse and not self.explain and can_fuse(lengths, self.channels, self.degree, self.heads):
            neighbours = Neighbours(key, value, features)
            return geometric_attention(query, neighbours, lengths, harmonics, radial, edge_index, self.heads)
        functions = Spline.at(lengths, radial).of(radial.table)
        turning = torch.cat(list(features), dim=1) if features else key.new_zeros(len(key), 0, self.channels)
        out = self.propagate(
            edge_index,
            size=(len(key), len(query)),
            query=(key, query),
            key=(key, query),
            value=(value, query),
            turning=(turning, query),
            functions=functions,
            harmonics=harmonics,
        )
        sizes = [self.channels * (2 * l + 1) for l in range(self.degree + 1)]
        zero, *of_degree, total = out.split([*sizes, self.heads], dim=1)
        return zero, [each.unflatten(1, (-1, self.channels)) for each in of_degree], total

    def message(
        self, query_i: Tensor, key_j: Tensor, value_j: Tensor, turning_j: Tensor, functions: Tensor, harmonics: Tensor
    ) -> Tensor:
        degrees = [2 * l + 1 for l in range(1, self.degree + 1)] if turning_j.size(1) else []
        turning = turning_j.split(degrees, dim=1) if degrees else []
        zero, of_degree, weight = messages(query_i, key_j, value_j, functions, harmonics, turning, self.heads)
        return torch.cat([zero, *(each.flatten(1) for each in of_degree), weight], dim=1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channels}, degree={self.degree}, heads={self.heads})"
