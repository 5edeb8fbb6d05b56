"""The angle sum on the CPU: fused, blocked for the cache, compiled on first use."""

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


def is_available(x: Inputs) -> bool:
    """Whether there are kernels for these inputs; the first call for a dtype and width may compile them."""
    return library(x.p.dtype, x.p.size(1)) is not None


def forward(x: Inputs, angle_index: Tensor) -> Tensor:
    """See :func:`torch_gptff.ops.eager.forward`."""
    x, index = _contiguous(x), angle_index.contiguous()
    out = torch.zeros_like(x.p)
    _library(x).angle_sum_forward(_pointers(x), _angles(index), _pointer(out), _threads())
    return out


def backward(dout: Tensor, x: Inputs, angle_index: Tensor, with_parameters: bool) -> Inputs:
    """See :func:`torch_gptff.ops.eager.backward`."""
    x, index, dout = _contiguous(x), angle_index.contiguous(), dout.contiguous()
    d = Inputs(*(torch.zeros_like(value) for value in x))
    _library(x).angle_sum_backward(
        _pointer(dout), _pointers(x), _angles(index), _pointers(d), int(with_parameters), _threads()
    )
    return d


def double_backward(t: Inputs, dout: Tensor, x: Inputs, angle_index: Tensor) -> tuple[Tensor, Inputs]:
    """See :func:`torch_gptff.ops.eager.double_backward`; the parameters' tangents are taken to be zero."""
    x, t, index, dout = _contiguous(x), _contiguous(t), angle_index.contiguous(), dout.contiguous()
    ddout = torch.zeros_like(dout)
    d = Inputs(*(torch.zeros_like(value) for value in x))
    _library(x).angle_sum_double_backward(
        _pointers(t), _pointer(dout), _pointers(x), _angles(index), _pointer(ddout), _pointers(d), _threads()
    )
    return ddout, d


def _library(x: Inputs) -> ctypes.CDLL:
    kernels = library(x.p.dtype, x.p.size(1))
    assert kernels is not None, "is_available() comes first"
    return kernels


def _contiguous(x: Inputs) -> Inputs:
    return Inputs(*(value.contiguous() for value in x))


def _pointer(value: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(value.data_ptr())


def _pointers(x: Inputs) -> ctypes._Pointer:
    return ctypes.pointer(_Pointers(*(value.data_ptr() for value in x)))


def _angles(index: Tensor) -> ctypes._Pointer:
    return ctypes.pointer(_Angles(index.size(1), index[0].data_ptr(), index[1].data_ptr()))


def _threads() -> ctypes.c_int:
    return ctypes.c_int(torch.get_num_threads())
