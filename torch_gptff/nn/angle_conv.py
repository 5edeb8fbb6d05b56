"""Messages from angles to bonds: message passing on the graph whose nodes are the bonds."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import Linear
from torch_geometric.nn.aggr import Aggregation
from torch_geometric.typing import PairTensor

from torch_gptff.graph.geometry import COSINE_SCALE
from torch_gptff.nn.linear import BlockLinear, GatedLinear
from torch_gptff.nn.segments import SegmentExtremes
from torch_gptff.ops import Inputs, angle_sum


class AngleConv(SegmentExtremes):
    r"""The update of bonds by the angles they form, of the `GPTFF paper <https://arxiv.org/abs/2402.19327>`_.

    .. math::
        h_{ijk} &= swish(W [x_i ‖ x_j ‖ x_k ‖ e_{ij} ‖ e_{ik}]) \\
        \Delta e_{ij} &= W_j t_{ij} \odot \sum_k \sigma(W_1 h_{ijk}) \odot swish(W_2 h_{ijk})
            \odot W_k t_{ik} \odot W_a \cos\theta_{jik}

    The argument of :math:`h` is taken as a sum :math:`p_{ij} + q_{ik}` of what either bond gives to it, and the sum
    over :math:`k` is one fused operator, :func:`torch_gptff.ops.angle_sum`. With ``fuse = False`` messages are made one
    by one.

    Args:
        channels: width ``d`` of atom features
        num_radial: number ``R`` of radial features, see :class:`~torch_gptff.nn.RadialFeatures`
        edge_channels: width ``d_e`` of bond features; by default ``channels``
        aggr: aggregation of the messages, of :mod:`torch_geometric.nn.aggr`; the paper has ``"add"``, for which
            there is a kernel

    Shapes:
        - x ``[N, d]``, or a pair of the neighbours' ``[N, d]`` and the centres' ``[M, d]``; of the bonds that form
          angles, edge_index ``[2, E]`` (neighbour, centre), edge_attr ``[E, d_e]``, radial ``[E, R]`` and unit vectors
          direction ``[E, 3]``; angle_index ``[2, A]`` (the updated bond ``ij``, the other bond ``ik``)
        - returns the change of ``edge_attr``, ``[E, d_e]``
    """

    def __init__(
        self, channels: int, num_radial: int, edge_channels: int | None = None, aggr: str | Aggregation = "add"
    ) -> None:
        super().__init__(aggr=aggr, flow="target_to_source")  # row 0 of angle_index is updated
        self.explain = False  # masks of explainers are of bonds, and these are messages of angles
        self.fuse = aggr == "add"
        self.channels = channels
        width = channels if edge_channels is None else edge_channels
        self.num_radial = num_radial
        self.lin_full = BlockLinear((channels, channels, channels, width, width), width)
        self.lin_gated = GatedLinear(width, width)
        self.lin_radial_j = Linear(num_radial, width, bias=False)
        self.lin_radial_k = Linear(num_radial, width, bias=False)
        self.lin_angle = Linear(1, width)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        for linear in (self.lin_full, self.lin_gated, self.lin_radial_j, self.lin_radial_k, self.lin_angle):
            linear.reset_parameters()

    def forward(
        self,
        x: Tensor | PairTensor,
        edge_index: Tensor,
        edge_attr: Tensor,
        angle_index: Tensor,
        radial: Tensor,
        direction: Tensor,
    ) -> Tensor:
        neighbour, centre = edge_index
        x_neighbour, x_centre = (x, x) if isinstance(x, Tensor) else x
        w_i, w_j, w_k, w_ij, w_ik = self.lin_full.split()
        of_neighbours = F.linear(x_neighbour, torch.cat([w_j, w_k])).index_select(0, neighbour)
        p, q = (of_neighbours + F.linear(edge_attr, torch.cat([w_ij, w_ik]))).chunk(2, dim=-1)
        p = p + F.linear(x_centre, w_i, self.lin_full.bias).index_select(0, centre)
        k = self.lin_radial_k(radial)
        if self.fuse:
            inputs = Inputs(
                p,
                q,
                k,
                direction,
                self.lin_gated.weight,
                self.lin_gated.bias,
                self.lin_angle.weight.squeeze(-1),
                self.lin_angle.bias,
            )
            update = angle_sum(inputs, angle_index)
        else:
            update = self.propagate(angle_index, p=p, q=q, k=k, direction=direction)
        return update * self.lin_radial_j(radial)

    def message(self, p_i: Tensor, q_j: Tensor, k_j: Tensor, direction_i: Tensor, direction_j: Tensor) -> Tensor:
        h = F.silu(p_i + q_j)
        cosine = (direction_i * direction_j).sum(dim=-1, keepdim=True) * COSINE_SCALE
        return self.lin_gated(h) * k_j * self.lin_angle(cosine)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channels}, num_radial={self.num_radial})"
