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

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from torch_gptff.errors import GraphError
from torch_gptff.ops import native, operator
from torch_gptff.ops.checks import check_pairs, check_shapes
from torch_gptff.ops.native.kernel import Group
from torch_gptff.ops.native.operators import NativeKernels
from torch_gptff.ops.registered import PairKernels, register
from torch_gptff.ops.transforms import under_transform

HIGHEST = 80.0
"""Largest exponent. It is reached only where the envelope is nearly zero, so that the share vanishes anyway."""


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
        query: scaled queries of the centres, ``[M, d]``, head by head
        key: keys of the neighbours, ``[N, d]``
        value: values of the neighbours, ``[N, d]``
        own_key: keys of the centres, ``[M, d]``
        own_value: values of the centres, ``[M, d]``
        bias: ``b`` of the bonds, ``[E, H]``, ``H`` dividing ``d``
        envelope: ``u`` of the bonds, ``[E]``
        edge_index: neighbours and centres, int64 ``[2, E]``; fastest with the bonds of one centre together

    Returns:
        ``[M, d]``

    Raises:
        GraphError: the shapes do not fit together, or ``edge_index`` points to atoms that do not exist.
    """
    values = [each.to(envelope.dtype) for each in (query, key, value, own_key, own_value, bias, envelope)]
    (out,) = operator.apply(_KERNELS, values, edge_index.contiguous(), keep=True)
    return out


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


class _Bonds(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("count", "neighbours", "centres", "heads")),
        ("centre", ctypes.c_void_p),
        ("neighbour", ctypes.c_void_p),
    ]


class _Kernels(NativeKernels, PairKernels):
    name = "local_attention"
    names = ("query", "key", "value", "own_key", "own_value", "bias", "envelope")

    def is_available(self, x: Sequence[Tensor], edge_index: Tensor) -> bool:
        return can_fuse(x[5], x[2].size(1))

    def plain(self, x: Sequence[Tensor], edge_index: Tensor) -> tuple[Tensor, ...]:
        query, key, value, own_key, own_value, bias, envelope = x
        neighbour, centre = edge_index
        own, others = shares(query, key, own_key, bias, envelope, edge_index)
        value, own_value = (each.unflatten(-1, (bias.size(1), -1)) for each in (value, own_value))
        messages = others.unsqueeze(-1) * value.index_select(0, neighbour)
        return ((own.unsqueeze(-1) * own_value).index_add(0, centre, messages).flatten(1),)

    def results(self, x: Sequence[Tensor], edge_index: Tensor, keep: bool) -> tuple[list[Tensor], Tensor]:
        """Shares ``r`` of the pairs are kept, ``[E + M, H]``: of the bonds, and then of the centres themselves."""
        query, bias = x[0], x[5]
        return [query.new_zeros(query.shape)], query.new_empty(edge_index.size(1) + query.size(0), bias.size(1))

    def gradients(self, x: Sequence[Tensor], edge_index: Tensor, with_parameters: bool) -> list[Tensor | None]:
        return [torch.zeros_like(value) for value in x]

    def check(self, x: Sequence[Tensor], edge_index: Tensor) -> None:
        query, _, value, *_, bias, _ = x
        (n, d), m, n_edges, heads = value.shape, len(query), edge_index.size(-1), bias.size(-1)
        if d % heads:
            raise GraphError(f"bias is for {heads} heads, which do not divide {d} channels")
        shapes = [(m, d), (n, d), (n, d), (m, d), (m, d), (n_edges, heads), (n_edges,)]
        check_shapes(dict(zip(self.names, x, strict=True)), shapes)
        check_pairs("edge_index", edge_index, (n, m))

    def call(self, kernel: str, x: Sequence[Tensor], index: Tensor, *others: Group) -> None:
        query, key, *_, bias, _ = x
        sizes = index.size(1), len(key), len(query), bias.size(1)
        bonds = _Bonds(*sizes, index[1].data_ptr(), index[0].data_ptr())
        native.call(f"local_attention_{kernel}", query.size(1), bonds, x, *others)


_KERNELS = _Kernels()
register("local_attention", "edge_index", _KERNELS)
