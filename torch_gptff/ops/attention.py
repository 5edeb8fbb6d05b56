"""Attention over all atoms of a structure, in memory linear in their number."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from torch_gptff.ops.transforms import under_transform


def attention(query: Tensor, key: Tensor, value: Tensor, present: Tensor | None, dropout: float = 0.0) -> Tensor:
    r""":math:`\mathrm{softmax}(Q K^T / \sqrt{d_h})\, V`, differentiable as often as wanted.

    Scores are never stored as a whole: PyTorch's fused kernels compute the result and its gradient a tile at a time.
    Those kernels cannot be differentiated twice, so that a gradient that is itself to be differentiated (training on
    forces) goes through the plain formula, in memory quadratic in the number of atoms.

    Args:
        query: ``[B, H, M, d_h]``
        key: ``[B, H, M, d_h]``
        value: ``[B, H, M, d_h]``
        present: whether a key exists, bool ``[B, M]``; ``None`` where all do
        dropout: dropout probability of the weights; the plain formula is used above 0

    Returns:
        ``[B, H, M, d_h]``
    """
    mask = None if present is None else present[:, None, None, :]
    if dropout > 0 or under_transform():
        return plain_attention(query, key, value, mask, dropout)
    return _Attention.apply(query, key, value, mask)


def plain_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float = 0.0) -> Tensor:
    """As :func:`attention`, with all scores in memory."""
    score = query @ key.mT / math.sqrt(query.size(-1))  # [B, H, M, M]
    if mask is not None:
        score = score.masked_fill(~mask, -torch.inf)
    return F.dropout(score.softmax(dim=-1), dropout) @ value


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.mask = mask
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)

    @staticmethod
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value = ctx.saved_tensors
        differentiable = torch.is_grad_enabled()
        with torch.enable_grad():
            if differentiable:
                out = plain_attention(query, key, value, ctx.mask)
            else:
                query, key, value = (each.detach().requires_grad_() for each in (query, key, value))
                out = F.scaled_dot_product_attention(query, key, value, attn_mask=ctx.mask)
            gradients = torch.autograd.grad(out, (query, key, value), dout, create_graph=differentiable)
        return (*gradients, None)
