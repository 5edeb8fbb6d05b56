"""A transformer layer on features that turn with the crystal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn.inits import reset

from torch_gptff.nn.geometric_attention import GeometricAttention
from torch_gptff.ops.tensor_product import paths, tensor_product

Attend = Callable[[GeometricAttention, Tensor, Sequence[Tensor]], tuple[Tensor, list[Tensor], Tensor]]


class GeometricTransformer(nn.Module):
    r"""A layer of attention to neighbours, products of the features received, and a network of both.

    With :math:`y = \mathrm{LN}(x)`, the attention's :math:`out` and :math:`total`, and the invariants :math:`n` and
    products :math:`Z` of :mod:`torch_gptff.ops.tensor_product`, which know two and three neighbours at once:

    .. math::
        V^l &\leftarrow V^l + W^l\, out^l \\
        [\Delta x ‖ g^1 ‖ \dots ‖ g^L] &= W_2\, \mathrm{swish}(W_1 [y ‖ out^0 ‖ n(V) ‖ total]) \\
        x &\leftarrow x + \Delta x, \qquad V^l \leftarrow 2 \sigma(g^l) \odot V^l + W_z^l\, Z^l(V)

    Args:
        channels: width ``c`` of the features of every degree
        degree: highest degree ``L``
        heads: number of attention heads
        cutoff: cutoff radius of the bonds, Å
        envelope_exponent: exponent of the envelope of the radial functions
        feedforward_channels: width of the network's hidden layer
        first: whether this is the first layer, in which atoms have no features that turn
        last: whether this is the last layer, which returns no features that turn
        num_radial: number of inputs of the network of the radial functions

    Shapes:
        - x ``[N, c]``; features of degree 1 to ``L``, ``[N, 2 l + 1, c]`` each, none in a first layer
        - returns both, changed; no features from a last layer
    """

    TOTAL_SCALE = 0.1
    """Factor of the sum of weights, which is about ten, the number of neighbours within the envelope."""

    def __init__(
        self,
        channels: int,
        degree: int,
        heads: int,
        cutoff: float,
        envelope_exponent: int,
        feedforward_channels: int,
        first: bool = False,
        last: bool = False,
        num_radial: int = 16,
    ) -> None:
        super().__init__()
        self.degree = degree
        self.norm = nn.LayerNorm(channels)
        self.attention = GeometricAttention(channels, degree, heads, cutoff, envelope_exponent, not first, num_radial)
        self.lin_message = _one_for_each(degree, channels)
        self.product_weight = nn.Parameter(torch.empty(len(paths(degree)), channels))
        self.lin_product = None if last else _one_for_each(degree, channels)
        self.lin1 = nn.Linear(2 * channels + 2 * degree * channels + heads, feedforward_channels)
        self.lin2 = nn.Linear(feedforward_channels, channels if last else channels + degree * channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for module in self.children():
            reset(module)
        nn.init.ones_(self.product_weight)

    def forward(self, x: Tensor, features: Sequence[Tensor], attend: Attend) -> tuple[Tensor, list[Tensor]]:
        """``attend(attention, y, features)`` calls the attention with the bonds."""
        y = self.norm(x)
        zero, turning, total = attend(self.attention, y, features)
        v = [lin(each) for lin, each in zip(self.lin_message, turning, strict=True)]
        if features:
            v = [new + old for new, old in zip(v, features, strict=True)]
        invariants, products = tensor_product(v, self.product_weight)
        known = torch.cat([y, zero, invariants.flatten(1), self.TOTAL_SCALE * total], dim=1)
        change = self.lin2(F.silu(self.lin1(known)))
        if self.lin_product is None:
            return x + change, []
        change, *gates = change.split(x.size(1), dim=1)
        gated = [2 * gate.sigmoid().unsqueeze(1) * each for gate, each in zip(gates, v, strict=True)]
        return x + change, [a + lin(z) for a, lin, z in zip(gated, self.lin_product, products, strict=True)]


def _one_for_each(degree: int, channels: int) -> nn.ModuleList:
    """A matrix for the features of each degree from 1 on: one with a bias would not turn with the crystal."""
    return nn.ModuleList(nn.Linear(channels, channels, bias=False) for _ in range(degree))
