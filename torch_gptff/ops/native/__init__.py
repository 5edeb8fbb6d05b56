"""The operators on the CPU: fused, blocked for the cache, compiled on first use.

The kernels trust shapes, dtypes, indices and that every tensor is contiguous; the operators see to it before.
"""

from __future__ import annotations

import ctypes

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
        ("centre", ctypes.c_void_p),
        ("neighbour", ctypes.c_void_p),
    ]


class _Rows(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("a", "b", "e", "weight")]


@torch.compiler.assume_constant_result
def is_available(dtype: torch.dtype, channels: int) -> bool:
    """Whether there are kernels for features of this dtype and width; the first call may compile them."""
    return library(dtype, channels) is not None


def forward(x: Inputs, angle_index: Tensor) -> Tensor:
    """See :func:`torch_gptff.ops.eager.forward`."""
    index = angle_index.contiguous()
    out = torch.zeros_like(x.p)
    _kernels(x.p).angle_sum_forward(_pointers(x), _angles(index), _pointer(out), _threads())
    return out


def backward(dout: Tensor, x: Inputs, angle_index: Tensor, with_parameters: bool) -> Inputs:
    """See :func:`torch_gptff.ops.eager.backward`."""
    index = angle_index.contiguous()
    d = Inputs(*(torch.zeros_like(value) for value in x))
    _kernels(x.p).angle_sum_backward(
        _pointer(dout), _pointers(x), _angles(index), _pointers(d), int(with_parameters), _threads()
    )
    return d


def double_backward(t: Inputs, dout: Tensor, x: Inputs, angle_index: Tensor) -> tuple[Tensor, Inputs]:
    """See :func:`torch_gptff.ops.eager.double_backward`; the parameters' tangents are taken to be zero."""
    index = angle_index.contiguous()
    ddout = torch.zeros_like(dout)
    d = Inputs(*(torch.zeros_like(value) for value in x))
    _kernels(x.p).angle_sum_double_backward(
        _pointers(t), _pointer(dout), _pointers(x), _angles(index), _pointer(ddout), _pointers(d), _threads()
    )
    return ddout, d


def edges_forward(name: str, x: tuple[Tensor, ...], parameters: tuple[Tensor, ...], edge_index: Tensor) -> Tensor:
    """``atom_update`` or ``bond_update`` of :mod:`torch_gptff.ops.gated_edges`."""
    x, parameters, index = _all_contiguous(x), _all_contiguous(parameters), edge_index.contiguous()
    a, b, e, _ = x
    out = e.new_zeros(len(a) if name == "atom_update" else len(e), e.size(1))
    forward = getattr(_kernels(e), f"{name}_forward")
    forward(_rows(x), *map(_pointer, parameters), _edges(index, len(b)), _pointer(out), _threads())
    return out


def edges_backward(
    name: str, dout: Tensor, x: tuple[Tensor, ...], parameters: tuple[Tensor, ...], edge_index: Tensor
) -> list[Tensor]:
    """Gradients of ``Σ dout ⊙ out`` by ``a``, ``b``, ``e`` and ``weight``."""
    x, parameters, index = _all_contiguous(x), _all_contiguous(parameters), edge_index.contiguous()
    a, b, e, weight = x
    dout = dout.contiguous()
    gradients = (torch.zeros_like(a), torch.zeros_like(b), torch.empty_like(e), torch.empty_like(weight))
    backward = getattr(_kernels(e), f"{name}_backward")
    backward(
        _pointer(dout),
        _rows(x),
        *map(_pointer, parameters),
        _edges(index, len(b)),
        _rows(gradients),
        _threads(),
    )
    return list(gradients)


def _kernels(features: Tensor) -> ctypes.CDLL:
    kernels = library(features.dtype, features.size(1))
    assert kernels is not None, "library() is asked first"
    return kernels


def _all_contiguous(values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(value.contiguous() for value in values)


def _pointer(value: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(value.data_ptr())


def _pointers(x: Inputs) -> ctypes._Pointer:
    return ctypes.pointer(_Pointers(*(value.data_ptr() for value in x)))


def _angles(index: Tensor) -> ctypes._Pointer:
    return ctypes.pointer(_Angles(index.size(1), index[0].data_ptr(), index[1].data_ptr()))


def _edges(index: Tensor, n_neighbours: int) -> ctypes._Pointer:
    return ctypes.pointer(_Edges(index.size(1), n_neighbours, index[1].data_ptr(), index[0].data_ptr()))


def _rows(values: tuple[Tensor, ...]) -> ctypes._Pointer:
    return ctypes.pointer(_Rows(*(value.data_ptr() for value in values)))


def _threads() -> ctypes.c_int:
    return ctypes.c_int(torch.get_num_threads())
