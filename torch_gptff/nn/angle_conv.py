"""Messages from angles to bonds: message passing on the graph whose nodes are the bonds."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from torch.nn import Linear
from torch_geometric.nn import MessagePassing

from torch_gptff.nn.linear import BlockLinear, GatedLinear


class AngleConv(MessagePassing):
    r"""The update of bonds by the angles they form, of the `GPTFF paper <https://arxiv.org/abs/2402.19327>`_.

    .. math::
        h_{ijk} &= swish(W [x_i ‖ x_j ‖ x_k ‖ e_{ij} ‖ e_{ik}]) \\
        \Delta e_{ij} &= W_j t_{ij}\, u(r_{ij}) \odot \sum_k \sigma(W_1 h_{ijk}) \odot swish(W_2 h_{ijk})
            \odot W_k t_{ik}\, u(r_{ik}) \odot W_a \cos\theta_{jik}

    The argument of :math:`h` is taken as a sum :math:`p_{ij} + q_{ik}` of what either bond gives to it.

    Args:
        channels: width ``d`` of atom and bond features
        num_radial: number of radial functions ``R``

    Shapes:
        - x ``[N, d]``; edge_index ``[2, E]`` (neighbour, centre), edge_attr ``[E, d]``, radial ``[E, R]`` and
          envelope ``[E]`` of the bonds that form angles; angle_index ``[2, A]`` (the updated bond ``ij``, the other
          bond ``ik``), cosine ``[A]``
        - returns what is to be added to ``edge_attr``, ``[E, d]``
    """

    def __init__(self, channels: int, num_radial: int) -> None:
        super().__init__(aggr="add", flow="target_to_source")  # row 0 of angle_index is updated
        self.channels = channels
        self.num_radial = num_radial
        self.lin_full = BlockLinear((channels,) * 5, channels)
        self.lin_gated = GatedLinear(channels, channels)
        self.lin_radial_j = Linear(num_radial, channels)
        self.lin_radial_k = Linear(num_radial, channels)
        self.lin_angle = Linear(1, channels)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        for linear in (self.lin_full, self.lin_gated, self.lin_radial_j, self.lin_radial_k, self.lin_angle):
            linear.reset_parameters()

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_attr: Tensor,
        angle_index: Tensor,
        radial: Tensor,
        cosine: Tensor,
        envelope: Tensor,
    ) -> Tensor:
        neighbour, centre = edge_index
        envelope = envelope.unsqueeze(-1)
        w_i, w_j, w_k, w_ij, w_ik = self.lin_full.split()
        x_centre, x_first, x_second = F.linear(x, w_i, self.lin_full.bias), F.linear(x, w_j), F.linear(x, w_k)
        update = self.propagate(
            angle_index,
            p=x_centre[centre] + x_first[neighbour] + F.linear(edge_attr, w_ij),
            q=x_second[neighbour] + F.linear(edge_attr, w_ik),
            weight=self.lin_radial_k(radial) * envelope,
            cosine=cosine,
        )
        return update * self.lin_radial_j(radial) * envelope

    def message(self, p_i: Tensor, q_j: Tensor, weight_j: Tensor, cosine: Tensor) -> Tensor:
        h = F.silu(p_i + q_j)
        return self.lin_gated(h) * weight_j * self.lin_angle(cosine.unsqueeze(-1))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channels}, num_radial={self.num_radial})"
