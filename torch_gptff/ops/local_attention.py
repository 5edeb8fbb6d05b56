r"""Attention of atoms to themselves and to their neighbours as an operator.

For a head, a centre :math:`i` and what it attends to, :math:`j` (its neighbours, and itself with :math:`u = 1` and
:math:`b = 0`):

.. math::
    s_{ij} &= q_i \cdot k_j + b_{ij}, \qquad
    r_{ij} = \frac{\exp s_{ij}}{\sum_k u_{ik} \exp s_{ik}}, \qquad p_{ij} = u_{ij} r_{ij} \\
    out_i &= \sum_j p_{ij} v_j

The gradient, with :math:`c_{ij} = dout_i \cdot v_j` and its mean :math:`\bar c_i = \sum_j p_{ij} c_{ij}`:

.. math::
    dv_j = \sum_i p_{ij}\, dout_i, \qquad ds_{ij} = p_{ij} (c_{ij} - \bar c_i), \qquad
    du_{ij} = r_{ij} (c_{ij} - \bar c_i)

For its own gradient, let dotted letters be tangents and :math:`\Phi = \sum_i dout_i \cdot \dot{out}_i`. With
:math:`w = \dot u\, r + p\, \dot s`, :math:`\bar w = \sum_j w`, and :math:`a = dout \cdot \dot v - \bar w c`:

.. math::
    \dot p &= w - p\, \bar w, \qquad \Phi = \sum w\, (c - \bar c) + p\; dout \cdot \dot v \\
    ds &= w\, (c - \bar c) + p\, (a - R), \qquad d\dot s = p\, (c - \bar c), \qquad
    du = r\, (\dot s\, (c - \bar c) + a - R), \qquad R = \sum_j w\, (c - \bar c) + p\, a
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from torch_gptff.errors import GraphError
from torch_gptff.ops import native
from torch_gptff.ops.checks import check_pairs, check_shapes
from torch_gptff.ops.transforms import direct, is_plain, under_transform

N_INPUTS = 7

HIGHEST = 80.0
"""Exponent that is reached only where an envelope of zero, or next to it, takes all of the share away again."""


def can_fuse(bias: Tensor, channels: int) -> bool:
    """Whether the fused operator takes atoms of this width, on the device and in the dtype of their bonds' ``bias``: on
    the CPU, where there is a compiler."""
    return not under_transform() and bias.device.type == "cpu" and native.is_available(bias.dtype, channels)


def local_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    own_key: Tensor,
    own_value: Tensor,
    bias: Tensor,
    envelope: Tensor,
    edge_index: Tensor,
) -> Tensor:
    """``out``, computed in the dtype of ``envelope``. Twice differentiable, in memory of a number a bond and head.

    Args:
        query: of the centres, scaled, ``[M, d]``, head by head
        key: of the neighbours, ``[N, d]``
        value: of the neighbours, ``[N, d]``
        own_key: of the centres, ``[M, d]``
        own_value: of the centres, ``[M, d]``
        bias: ``b`` of the bonds, ``[E, H]``, ``H`` dividing ``d``
        envelope: ``u`` of the bonds, ``[E]``
        edge_index: neighbours and centres, int64 ``[2, E]``; fastest with the bonds of one centre together

    Returns:
        ``[M, d]``

    Raises:
        GraphError: the shapes do not fit together, or ``edge_index`` points to atoms that do not exist.
    """
    values = [each.to(envelope.dtype) for each in (query, key, value, own_key, own_value, bias, envelope)]
    attend = _Direct.apply if is_plain(values) else torch.ops.torch_gptff.local_attention
    return attend(*values, edge_index)[0]


def shares(query: Tensor, key: Tensor, own_key: Tensor, bias: Tensor, envelope: Tensor, edge_index: Tensor) -> Any:
    """``p`` of the centres themselves, ``[M, H]``, and of their bonds, ``[E, H]``, in plain operations."""
    neighbour, centre = edge_index
    heads, dtype = bias.size(1), envelope.dtype
    query, key, own_key = (each.to(dtype).unflatten(-1, (heads, -1)) for each in (query, key, own_key))
    to_itself = (query * own_key).sum(dim=-1)  # [M, H]
    to_others = (query.index_select(0, centre) * key.index_select(0, neighbour)).sum(dim=-1) + bias  # [E, H]
    weighted = (to_others + envelope.unsqueeze(-1).log()).detach()
    highest = to_itself.detach().scatter_reduce(0, centre.unsqueeze(-1).expand_as(weighted), weighted, "amax")
    own = (to_itself - highest).exp()
    others = (to_others - highest.index_select(0, centre)).clamp(max=HIGHEST).exp() * envelope.unsqueeze(-1)
    total = own.index_add(0, centre, others)
    return own / total, others / total.index_select(0, centre)


def _forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    own_key: Tensor,
    own_value: Tensor,
    bias: Tensor,
    envelope: Tensor,
    edge_index: Tensor,
) -> tuple[Tensor, Tensor]:
    x = {
        "value": value,
        "query": query,
        "key": key,
        "own_key": own_key,
        "own_value": own_value,
        "bias": bias,
        "envelope": envelope,
    }
    (n, d), m, n_edges, heads = value.shape, len(query), edge_index.size(-1), bias.size(-1)
    if d % heads:
        raise GraphError(f"bias is for {heads} heads, which do not divide {d} channels")
    check_shapes(x, [(n, d), (m, d), (n, d), (m, d), (m, d), (n_edges, heads), (n_edges,)])
    check_pairs("edge_index", edge_index, (n, m))
    return native.attention_forward((query, key, value, own_key, own_value, bias, envelope), edge_index)


def _backward(dout: Tensor, x: list[Tensor], edge_index: Tensor, kept: Tensor) -> list[Tensor]:
    return native.attention_backward(dout, x, edge_index, kept)


@custom_op("torch_gptff::local_attention_double_backward", mutates_args=())
def _double_backward(t: list[Tensor], dout: Tensor, x: list[Tensor], edge_index: Tensor, kept: Tensor) -> list[Tensor]:
    return native.attention_double_backward(t, dout, x, edge_index, kept)


_operator = custom_op("torch_gptff::local_attention", _forward, mutates_args=())
_backward_operator = custom_op("torch_gptff::local_attention_backward", _backward, mutates_args=())


@_operator.register_fake
def _(query: Tensor, *others: Tensor) -> tuple[Tensor, Tensor]:
    *_, bias, _, edge_index = others
    return query.new_empty(query.shape), query.new_empty(edge_index.size(1) + query.size(0), bias.size(1))


@_backward_operator.register_fake
def _(dout: Tensor, x: list[Tensor], *others: Tensor) -> list[Tensor]:
    return [value.new_empty(value.shape) for value in x]


@_double_backward.register_fake
def _(t: list[Tensor], dout: Tensor, x: list[Tensor], *others: Tensor) -> list[Tensor]:
    return [value.new_empty(value.shape) for value in (dout, *x)]


def _keep_forward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    kept = output[1]
    ctx.mark_non_differentiable(kept)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs, kept)


def _differentiate_forward(ctx: Any, dout: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    *x, edge_index, kept = ctx.saved_tensors
    if dout is None:
        return (None,) * (N_INPUTS + 1)
    is_last = not torch.is_grad_enabled() and is_plain([dout])
    backward = _backward if is_last else torch.ops.torch_gptff.local_attention_backward
    gradients = backward(dout, x, edge_index, kept)
    return (*(g if w else None for g, w in zip(gradients, ctx.needs_input_grad, strict=False)), None)


def _keep_backward(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    dout, x, edge_index, kept = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(dout, *x, edge_index, kept)


def _differentiate_backward(ctx: Any, tangents: list[Tensor | None]) -> tuple[Any, ...]:
    dout, *x, edge_index, kept = ctx.saved_tensors
    t = [torch.zeros_like(v) if tangent is None else tangent for tangent, v in zip(tangents, x, strict=True)]
    ddout, *d = torch.ops.torch_gptff.local_attention_double_backward(t, dout, x, edge_index, kept)
    return ddout, d, None, None


_operator.register_autograd(_differentiate_forward, setup_context=_keep_forward)
_backward_operator.register_autograd(_differentiate_backward, setup_context=_keep_backward)
_Direct = direct("LocalAttention", _forward, _keep_forward, _differentiate_forward)
