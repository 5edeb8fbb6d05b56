"""Attention in linear memory against its formula."""

from __future__ import annotations

import pytest
import torch

from torch_gptff.ops.attention import attention, plain_attention


@pytest.fixture
def inputs() -> list[torch.Tensor]:
    return [torch.randn(2, 2, 7, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]


PRESENT = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])


@pytest.mark.parametrize("present", [None, PRESENT])
def test_value_and_gradient(inputs, present):
    mask = None if present is None else present[:, None, None, :]
    fused, plain = attention(*inputs, present), plain_attention(*inputs, mask)
    torch.testing.assert_close(fused, plain, atol=1e-13, rtol=0)
    weight = torch.randn_like(plain)
    for got, expected in zip(
        torch.autograd.grad(fused, inputs, weight), torch.autograd.grad(plain, inputs, weight), strict=True
    ):
        torch.testing.assert_close(got, expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize("present", [None, PRESENT])
def test_twice_differentiable(inputs, present):
    def of(*values):
        return attention(*values, present)

    assert torch.autograd.gradcheck(of, inputs)
    assert torch.autograd.gradgradcheck(of, inputs)


def test_scores_are_not_stored():
    """4,000 atoms have 16 million scores a head; what autograd keeps is a few numbers per atom."""
    kept = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel()
        return tensor

    query, key, value = (torch.randn(1, 1, 4000, 8, requires_grad=True) for _ in range(3))
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        out = attention(query, key, value, None)
    assert kept <= 4 * query.numel()
    assert torch.autograd.grad(out.sum(), query)[0].isfinite().all()


def test_dropout_is_of_the_weights_and_keeps_their_mean(inputs):
    with torch.no_grad():
        expected = attention(*inputs, None)
        mean = torch.stack([attention(*inputs, None, dropout=0.05) for _ in range(400)]).mean(dim=0)
    torch.testing.assert_close(mean, expected, atol=0.1, rtol=0)
    assert not torch.equal(attention(*inputs, None, dropout=0.1), expected)
