"""Messages from bonds to atoms."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from torch.nn import Linear
from torch_geometric.nn.aggr import Aggregation
from torch_geometric.typing import PairTensor

from torch_gptff.nn.linear import BlockLinear, GatedLinear
from torch_gptff.nn.segments import SegmentExtremes
from torch_gptff.ops.gated_edges import atom_message, atom_update, can_fuse


class AtomConv(SegmentExtremes):
    r"""The atom update of the `GPTFF paper <https://arxiv.org/abs/2402.19327>`_.

    .. math::
        g_{ij} &= swish(W [x_i ‖ x_j ‖ e_{ij}]) \\
        \Delta x_i &= \sum_j swish(W_1 g_{ij}) \odot \sigma(W_2 g_{ij}) \odot W_r b_{ij}

    Args:
        channels: width ``d`` of atom features
        num_radial: number ``R`` of radial features, see :class:`~torch_gptff.nn.RadialFeatures`
        edge_channels: width ``d_e`` of bond features; by default ``channels``
        aggr: aggregation of the messages, of :mod:`torch_geometric.nn.aggr`; the paper has ``"add"``, for which
            there are kernels

    Shapes:
        - x ``[N, d]``, or a pair of the neighbours' ``[N, d]`` and the centres' ``[M, d]``; edge_index ``[2, E]``
          (neighbour, centre); edge_attr ``[E, d_e]``; radial ``[E, R]``
        - returns the change of the centres' ``x``, ``[N, d]`` or ``[M, d]``
    """

    def __init__(
        self, channels: int, num_radial: int, edge_channels: int | None = None, aggr: str | Aggregation = "add"
    ) -> None:
        super().__init__(aggr=aggr)
        edge_channels = channels if edge_channels is None else edge_channels
        self.fuse = edge_channels == channels and aggr == "add"
        self.channels = channels
        self.num_radial = num_radial
        self.lin_full = BlockLinear((channels, channels, edge_channels), 2 * channels)
        self.lin_gated = GatedLinear(2 * channels, channels)
        self.lin_radial = Linear(num_radial, channels, bias=False)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        self.lin_full.reset_parameters()
        self.lin_gated.reset_parameters()
        self.lin_radial.reset_parameters()

    def forward(self, x: Tensor | PairTensor, edge_index: Tensor, edge_attr: Tensor, radial: Tensor) -> Tensor:
        x_neighbour, x_centre = (x, x) if isinstance(x, Tensor) else x
        w_centre, w_neighbour, w_bond = self.lin_full.split()
        a, b = F.linear(x_centre, w_centre, self.lin_full.bias), F.linear(x_neighbour, w_neighbour)
        w_gate, b_gate = self.lin_gated.weight, self.lin_gated.bias
        if self.fuse and not self.explain and can_fuse(edge_attr):
            return atom_update(a, b, edge_attr, radial, self.lin_radial.weight, w_bond, w_gate, b_gate, edge_index)
        weight = self.lin_radial(radial)
        return self.propagate(edge_index, x=(b, a), edge_attr=F.linear(edge_attr, w_bond), weight=weight)

    def message(self, x_i: Tensor, x_j: Tensor, edge_attr: Tensor, weight: Tensor) -> Tensor:
        return atom_message(x_i + x_j + edge_attr, weight, self.lin_gated.weight, self.lin_gated.bias)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channels}, num_radial={self.num_radial})"
