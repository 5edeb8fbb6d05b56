"""The operators on the CPU: fused, blocked for the cache, compiled on first use.

The kernels trust shapes, dtypes, indices and that every tensor is contiguous; the operators see to it before.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from torch_gptff.ops.eager import Inputs
from torch_gptff.ops.native.build import library


class _Pointers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in Inputs._fields]


class _Angles(ctypes.Structure):
    _fields_ = [("count", ctypes.c_int64), ("first", ctypes.c_void_p), ("second", ctypes.c_void_p)]


class _Edges(ctypes.Structure):
    _fields_ = [
        ("count", ctypes.c_int64),
        ("neighbours", ctypes.c_int64),
        ("radial", ctypes.c_int64),
        ("centre", ctypes.c_void_p),
        ("neighbour", ctypes.c_void_p),
    ]


class _Bonds(ctypes.Structure):
    _fields_ = [
        ("count", ctypes.c_int64),
        ("neighbours", ctypes.c_int64),
        ("centres", ctypes.c_int64),
        ("heads", ctypes.c_int64),
        ("centre", ctypes.c_void_p),
        ("neighbour", ctypes.c_void_p),
    ]


class _Attention(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_void_p) for name in ("query", "key", "value", "own_key", "own_value", "bias", "envelope")
    ]


class _Update(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("a", "b", "e", "radial", "w_radial", "w_edge", "w", "bias")]


@torch.compiler.assume_constant_result
def is_available(dtype: torch.dtype, channels: int) -> bool:
    """Whether there are kernels for features of this dtype and width; the first call may compile them."""
    return library(dtype, channels) is not None


def forward(x: Inputs, angle_index: Tensor, keep: bool) -> tuple[Tensor, Tensor]:
    """See :func:`torch_gptff.ops.eager.forward`; and ``W h`` of every angle, ``[A, 2 d]``, or of none."""
    index = angle_index.contiguous()
    out = torch.zeros_like(x.p)
    kept = x.p.new_empty(index.size(1) if keep else 0, len(x.bias))
    _kernels(x.p).angle_sum_forward(_pointers(x), _angles(index), _pointer(out), _pointer(kept), _threads())
    return out, kept


def backward(dout: Tensor, x: Inputs, angle_index: Tensor, kept: Tensor, with_parameters: bool) -> Inputs:
    """See :func:`torch_gptff.ops.eager.backward`; with what :func:`forward` kept."""
    index = angle_index.contiguous()
    d = Inputs(*(torch.zeros_like(value) for value in x))
    _kernels(x.p).angle_sum_backward(
        _pointer(dout), _pointers(x), _angles(index), _pointer(kept), _pointers(d), int(with_parameters), _threads()
    )
    return d


def double_backward(
    t: Inputs, dout: Tensor, x: Inputs, angle_index: Tensor, kept: Tensor, with_parameters: bool
) -> tuple[Tensor, Inputs]:
    """See :func:`torch_gptff.ops.eager.double_backward`; the parameters' tangents are taken to be zero."""
    index = angle_index.contiguous()
    ddout = torch.zeros_like(dout)
    d = Inputs(*(torch.zeros_like(value) for value in x))
    _kernels(x.p).angle_sum_double_backward(
        _pointers(t),
        _pointer(dout),
        _pointers(x),
        _angles(index),
        _pointer(kept),
        _pointer(ddout),
        _pointers(d),
        int(with_parameters),
        _threads(),
    )
    return ddout, d


def edges_forward(name: str, x: Sequence[Tensor], edge_index: Tensor, keep: bool) -> tuple[Tensor, Tensor]:
    """An update of :mod:`torch_gptff.ops.gated_edges` by its name, and what it keeps for its derivatives."""
    x, index = _all_contiguous(x), edge_index.contiguous()
    a, _, e, *_, bias = x
    out = e.new_zeros(len(a), e.size(1)) if name == "atom_update" else torch.empty_like(e)
    kept = e.new_empty(len(e) if keep else 0, a.size(1) + len(bias))
    forward = getattr(_kernels(e), f"{name}_forward")
    forward(_update(x), _edges(x, index), _pointer(out), _pointer(kept), _threads())
    return out, kept


def edges_backward(
    name: str, dout: Tensor, x: Sequence[Tensor], edge_index: Tensor, kept: Tensor, with_parameters: bool
) -> list[Tensor]:
    """The gradients of ``Σ dout ⊙ out`` by every input; zero by the parameters unless ``with_parameters``."""
    x, index = _all_contiguous(x), edge_index.contiguous()
    dout, d = dout.contiguous(), _gradients(x)
    backward = getattr(_kernels(x[2]), f"{name}_backward")
    edges = _edges(x, index)
    backward(_pointer(dout), _update(x), edges, _pointer(kept), _update(d), int(with_parameters), _threads())
    return d


def edges_double_backward(
    name: str,
    t: Sequence[Tensor],
    dout: Tensor,
    x: Sequence[Tensor],
    edge_index: Tensor,
    kept: Tensor,
    with_parameters: bool,
) -> list[Tensor]:
    """The gradients of ``Σ t · backward(dout, x)`` by ``dout`` and by every input, for tangents ``t`` of the rows."""
    t, x, index = _all_contiguous(t), _all_contiguous(x), edge_index.contiguous()
    dout, d = dout.contiguous(), _gradients(x)
    ddout = torch.zeros_like(dout)
    double_backward = getattr(_kernels(x[2]), f"{name}_double_backward")
    double_backward(
        _update(t),
        _pointer(dout),
        _update(x),
        _edges(x, index),
        _pointer(kept),
        _pointer(ddout),
        _update(d),
        int(with_parameters),
        _threads(),
    )
    return [ddout, *d]


def _gradients(x: Sequence[Tensor]) -> list[Tensor]:
    """Of sums zeros to begin with; of what belongs to one bond whatever is there."""
    per_bond = (2, 3)  # e and radial
    return [torch.empty_like(v) if k in per_bond else torch.zeros_like(v) for k, v in enumerate(x)]


def attention_forward(x: Sequence[Tensor], edge_index: Tensor) -> tuple[Tensor, Tensor]:
    """See :mod:`torch_gptff.ops.local_attention`; and ``r`` of the bonds and of the centres, ``[E + M, H]``."""
    x, index = _all_contiguous(x), edge_index.contiguous()
    out = torch.zeros_like(x[0])
    kept = out.new_empty(index.size(1) + len(out), x[5].size(1))
    _kernels(out).local_attention_forward(*_attention(x, index), _pointer(out), _pointer(kept), _threads())
    return out, kept


def attention_backward(dout: Tensor, x: Sequence[Tensor], edge_index: Tensor, kept: Tensor) -> list[Tensor]:
    """The gradients of ``Σ dout ⊙ out`` by every input."""
    x, index, dout = _all_contiguous(x), edge_index.contiguous(), dout.contiguous()
    d = [torch.zeros_like(value) for value in x]
    _kernels(dout).local_attention_backward(
        _pointer(dout), *_attention(x, index), _pointer(kept), _attention_rows(d), _threads()
    )
    return d


def attention_double_backward(
    t: Sequence[Tensor], dout: Tensor, x: Sequence[Tensor], edge_index: Tensor, kept: Tensor
) -> list[Tensor]:
    """The gradients of ``Σ t · backward(dout, x)`` by ``dout`` and by every input."""
    t, x, index, dout = _all_contiguous(t), _all_contiguous(x), edge_index.contiguous(), dout.contiguous()
    ddout, d = torch.zeros_like(dout), [torch.zeros_like(value) for value in x]
    _kernels(dout).local_attention_double_backward(
        _attention_rows(t),
        _pointer(dout),
        *_attention(x, index),
        _pointer(kept),
        _pointer(ddout),
        _attention_rows(d),
        _threads(),
    )
    return [ddout, *d]


def _kernels(features: Tensor) -> ctypes.CDLL:
    kernels = library(features.dtype, features.size(1))
    assert kernels is not None, "library() is asked first"
    return kernels


def _all_contiguous(values: Sequence[Tensor]) -> list[Tensor]:
    return [value.contiguous() for value in values]


def _pointer(value: Tensor) -> ctypes.c_void_p:
    """Null for an empty tensor."""
    return ctypes.c_void_p(value.data_ptr())


def _pointers(x: Inputs) -> ctypes._Pointer:
    return ctypes.pointer(_Pointers(*(value.data_ptr() for value in x)))


def _angles(index: Tensor) -> ctypes._Pointer:
    return ctypes.pointer(_Angles(index.size(1), index[0].data_ptr(), index[1].data_ptr()))


def _edges(x: Sequence[Tensor], index: Tensor) -> ctypes._Pointer:
    _, b, _, radial, *_ = x
    sizes = index.size(1), len(b), radial.size(1)
    return ctypes.pointer(_Edges(*sizes, index[1].data_ptr(), index[0].data_ptr()))


def _update(values: Sequence[Tensor]) -> ctypes._Pointer:
    return ctypes.pointer(_Update(*(value.data_ptr() for value in values)))


def _attention(x: Sequence[Tensor], index: Tensor) -> tuple[ctypes._Pointer, ...]:
    query, key, bias = x[0], x[1], x[5]
    bonds = _Bonds(index.size(1), len(key), len(query), bias.size(1), index[1].data_ptr(), index[0].data_ptr())
    return _attention_rows(x), ctypes.pointer(bonds)


def _attention_rows(values: Sequence[Tensor]) -> ctypes._Pointer:
    return ctypes.pointer(_Attention(*(value.data_ptr() for value in values)))


def _threads() -> ctypes.c_int:
    return ctypes.c_int(torch.get_num_threads())
