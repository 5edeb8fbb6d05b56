"""Linear maps in the two forms that the layers are made of."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from torch_gptff.ops.gated_edges import gate


class BlockLinear(nn.Linear):
    r"""A linear map of a concatenation, taken block by block: :math:`W [a ‖ b ‖ …] + b_0 = W_a a + W_b b + … + b_0`.

    A product that depends on one atom, or on one bond, is then taken once for it, instead of once for every bond or
    angle that it has a part in. The parameters are those of the :class:`torch.nn.Linear` of the concatenation.

    Args:
        in_features: the width of each block
        out_features: the width of the result
    """

    def __init__(self, in_features: Sequence[int], out_features: int) -> None:
        self.blocks = tuple(in_features)
        super().__init__(sum(in_features), out_features)

    def split(self) -> tuple[Tensor, ...]:
        """The blocks of the weight, ``[out_features, in_features[k]]`` each."""
        return self.weight.split(self.blocks, dim=1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.blocks)}, {self.out_features})"


class GatedLinear(nn.Linear):
    r"""Two linear maps of one input, the one gating the other: :math:`swish(W_v g) \odot \sigma(W_g g)`.

    Both stand in one matrix, values above gates, so that one product gives both.

    Args:
        in_features: the width of the input
        out_features: the width of the result
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, 2 * out_features)

    def forward(self, input: Tensor) -> Tensor:
        return gate(super().forward(input))
