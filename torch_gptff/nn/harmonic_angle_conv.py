"""Messages from angles to bonds at the cost of the bonds."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import Linear
from torch_geometric.nn import MessagePassing
from torch_geometric.typing import PairTensor
from torch_geometric.utils import to_dense_batch

from torch_gptff.nn.linear import BlockLinear, GatedLinear
from torch_gptff.ops.harmonics import MAX_DEGREE, spherical_harmonics


class HarmonicAngleConv(MessagePassing):
    r"""An update of bonds by the angles they form, in work and memory linear in the number of bonds.

    The message of a third atom to a bond is a vector of the third atom's own bond times Legendre polynomials of their
    angle:

    .. math::
        q_{ik} &= swish(W_1 [x_k ‖ e_{ik}]) \odot \sigma(W_2 [x_k ‖ e_{ik}]) \odot W_k t_{ik} \\
        a_{ij}^l &= \sum_{k \ne j} q_{ik} P_l(\cos\theta_{jik}) \\
        \Delta e_{ij} &= swish(W [a_{ij}^0 ‖ \dots ‖ a_{ij}^L]) \odot \sigma(W_g [x_i ‖ x_j ‖ e_{ij}])
            \odot W_j t_{ij}

    By the addition theorem of the spherical harmonics, the sum over the third atoms is taken once for each centre:

    .. math::
        \sum_{k \ne j} q_{ik} P_l(\cos\theta_{jik})
            = \sum_m Y_{lm}(\hat r_{ij}) \sum_k Y_{lm}(\hat r_{ik})\, q_{ik} - q_{ij}

    Args:
        channels: width ``d`` of atom and bond features
        num_radial: number ``R`` of radial features, see :class:`~torch_gptff.nn.RadialFeatures`
        degree: the highest ``l``, at most 3

    Shapes:
        - x ``[N, d]``, or a pair of the neighbours' ``[N, d]`` and the centres' ``[M, d]``; edge_index ``[2, E]``
          (neighbour, centre; ascending by centre); edge_attr ``[E, d]``; radial ``[E, R]``; unit vectors direction
          ``[E, 3]``
        - returns the change of ``edge_attr``, ``[E, d]``
    """

    def __init__(self, channels: int, num_radial: int, degree: int = MAX_DEGREE) -> None:
        super().__init__()
        self.explain = False  # masks of explainers are of bonds, and this is a sum over angles
        self.channels = channels
        self.num_radial = num_radial
        self.degree = degree
        self.lin_third = GatedLinear(2 * channels, channels)
        self.lin_gate = BlockLinear((channels, channels, channels), channels)
        self.lin_mix = Linear((degree + 1) * channels, channels, bias=False)
        self.lin_radial_j = Linear(num_radial, channels, bias=False)
        self.lin_radial_k = Linear(num_radial, channels, bias=False)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        for linear in (self.lin_third, self.lin_gate, self.lin_mix, self.lin_radial_j, self.lin_radial_k):
            linear.reset_parameters()

    def forward(
        self,
        x: Tensor | PairTensor,
        edge_index: Tensor,
        edge_attr: Tensor,
        radial: Tensor,
        direction: Tensor,
    ) -> Tensor:
        neighbour, centre = edge_index
        x_neighbour, x_centre = (x, x) if isinstance(x, Tensor) else x
        third = torch.cat([x_neighbour.index_select(0, neighbour), edge_attr], dim=-1)
        q = self.lin_third(third) * self.lin_radial_k(radial)
        angles = legendre_sums(q, direction, centre, len(x_centre), self.degree)
        w_centre, w_neighbour, w_bond = self.lin_gate.split()
        gate = self.edge_updater(
            edge_index,
            x=(F.linear(x_neighbour, w_neighbour), F.linear(x_centre, w_centre, self.lin_gate.bias)),
            edge_attr=F.linear(edge_attr, w_bond),
        )
        return F.silu(self.lin_mix(angles)) * gate * self.lin_radial_j(radial)

    def edge_update(self, x_i: Tensor, x_j: Tensor, edge_attr: Tensor) -> Tensor:
        return torch.sigmoid(x_i + x_j + edge_attr)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channels}, num_radial={self.num_radial}, degree={self.degree})"


def legendre_sums(q: Tensor, direction: Tensor, centre: Tensor, n_atoms: int, degree: int) -> Tensor:
    r""":math:`\sum_{k \ne j} q_{ik} P_l(\hat r_{ij} \cdot \hat r_{ik})` for every bond and every ``l``.

    Args:
        q: a vector of every bond, ``[E, d]``
        direction: unit vectors, ``[E, 3]``
        centre: the centre of every bond, ascending, ``[E]``
        n_atoms: ``N``
        degree: the highest ``l``, at most 3

    Returns:
        ``[E, (degree + 1) d]``, degree by degree
    """
    if n_atoms == 0:
        return q.repeat(1, degree + 1)
    harmonics, present = to_dense_batch(spherical_harmonics(direction, degree), centre, batch_size=n_atoms)
    vectors, _ = to_dense_batch(q, centre, batch_size=n_atoms)  # [N, K, d], K the most bonds of one atom
    moments = harmonics.mT @ vectors  # [N, (degree + 1)², d]
    sizes = [2 * each + 1 for each in range(degree + 1)]
    by_degree = zip(harmonics.split(sizes, dim=-1), moments.split(sizes, dim=1), strict=True)
    return torch.cat([(y @ moment)[present] - q for y, moment in by_degree], dim=-1)
