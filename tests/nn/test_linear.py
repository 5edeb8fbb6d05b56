"""Linear maps in blocks against linear maps of concatenations."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from torch_gptff.nn import BlockLinear, GatedLinear


def test_blocks_are_the_linear_map_of_the_concatenation():
    layer = BlockLinear((3, 5, 2), 4).double()
    blocks = [torch.randn(7, width, dtype=torch.float64) for width in (3, 5, 2)]
    in_parts = sum(F.linear(block, weight) for block, weight in zip(blocks, layer.split(), strict=True)) + layer.bias
    torch.testing.assert_close(in_parts, layer(torch.cat(blocks, dim=-1)), atol=1e-14, rtol=0)


def test_block_parameters_are_those_of_a_linear():
    torch.manual_seed(1)
    blocks = BlockLinear((3, 5), 4)
    torch.manual_seed(1)
    plain = torch.nn.Linear(8, 4)
    assert blocks.state_dict().keys() == plain.state_dict().keys()
    assert all(torch.equal(blocks.state_dict()[name], plain.state_dict()[name]) for name in plain.state_dict())
    assert repr(blocks) == "BlockLinear([3, 5], 4)"


def test_gated_linear_is_swish_times_sigmoid():
    layer = GatedLinear(5, 3).double()
    x = torch.randn(7, 5, dtype=torch.float64)
    value, gate = x @ layer.weight[:3].T + layer.bias[:3], x @ layer.weight[3:].T + layer.bias[3:]
    expected = value / (1 + torch.exp(-value)) / (1 + torch.exp(-gate))
    torch.testing.assert_close(layer(x), expected, atol=1e-14, rtol=0)
