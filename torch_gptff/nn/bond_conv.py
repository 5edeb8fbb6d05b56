"""Updates of bonds by the atoms at their ends."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from torch.nn import Linear
from torch_geometric.nn import MessagePassing
from torch_geometric.typing import PairTensor

from torch_gptff.nn.linear import BlockLinear
from torch_gptff.ops.gated_edges import bond_message, bond_update, can_fuse


class BondConv(MessagePassing):
    r"""The bond update of the `GPTFF paper <https://arxiv.org/abs/2402.19327>`_.

    .. math::
        s_{ij} &= swish(W_1 [x_i ‖ x_j ‖ e_{ij}]) \odot \sigma(W_2 [x_i ‖ x_j ‖ e_{ij}]) \\
        e'_{ij} &= e_{ij} + swish(W_3 s_{ij}) \odot W_r b_{ij}

    Args:
        channels: width ``d`` of atom features
        num_radial: number ``R`` of radial features, see :class:`~torch_gptff.nn.RadialFeatures`
        edge_channels: width ``d_e`` of bond features; by default ``channels``

    Shapes:
        - x ``[N, d]``, or a pair of the neighbours' ``[N, d]`` and the centres' ``[M, d]``; edge_index ``[2, E]``
          (neighbour, centre); edge_attr ``[E, d_e]``; radial ``[E, R]``
        - returns the updated ``edge_attr``, ``[E, d_e]``
    """

    def __init__(self, channels: int, num_radial: int, edge_channels: int | None = None) -> None:
        super().__init__()
        width = channels if edge_channels is None else edge_channels
        self.fuse = width == channels
        self.channels = channels
        self.num_radial = num_radial
        self.lin_gated = BlockLinear((channels, channels, width), 2 * width)
        self.lin_out = Linear(width, width)
        self.lin_radial = Linear(num_radial, width, bias=False)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        self.lin_gated.reset_parameters()
        self.lin_out.reset_parameters()
        self.lin_radial.reset_parameters()

    def forward(self, x: Tensor | PairTensor, edge_index: Tensor, edge_attr: Tensor, radial: Tensor) -> Tensor:
        x_neighbour, x_centre = (x, x) if isinstance(x, Tensor) else x
        w_centre, w_neighbour, w_bond = self.lin_gated.split()
        a, b = F.linear(x_centre, w_centre, self.lin_gated.bias), F.linear(x_neighbour, w_neighbour)
        w_out, b_out = self.lin_out.weight, self.lin_out.bias
        if self.fuse and not self.explain and can_fuse(edge_attr):
            return bond_update(a, b, edge_attr, radial, self.lin_radial.weight, w_bond, w_out, b_out, edge_index)
        weight = self.lin_radial(radial)
        update = self.edge_updater(edge_index, x=(b, a), edge_attr=F.linear(edge_attr, w_bond), weight=weight)
        return edge_attr + update

    def edge_update(self, x_i: Tensor, x_j: Tensor, edge_attr: Tensor, weight: Tensor) -> Tensor:
        return bond_message(x_i + x_j + edge_attr, weight, self.lin_out.weight, self.lin_out.bias)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channels}, num_radial={self.num_radial})"
