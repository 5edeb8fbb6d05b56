"""The operators of bonds and angles on the CPU: fused, blocked for the cache, compiled on first use.

The kernels trust shapes, dtypes, indices and that every tensor is contiguous; the operators see to it before.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from torch_gptff.ops.native.build import library
from torch_gptff.ops.native.kernel import run
from torch_gptff.postponed import unless_postponed

call = partial(run, library)
"""Run a kernel, for features of so many channels, see :func:`~torch_gptff.ops.native.kernel.run`."""


@unless_postponed(torch.compiler.assume_constant_result)
def is_available(dtype: torch.dtype, channels: int) -> bool:
    """Whether there are kernels for features of this dtype and width; the first call may compile them."""
    return library(dtype, channels) is not None


def edges_forward(name: str, x: Sequence[Tensor], edge_index: Tensor, out: Tensor, kept: Tensor | None) -> None:
    """Add an update of :mod:`torch_gptff.ops.gated_edges`, by its name, to ``out``, and keep what it is told to."""
    call(f"{name}_forward", x[2].size(1), _edges(x, edge_index), x, [out], [kept])


def edges_backward(
    name: str, dout: Tensor, x: Sequence[Tensor], edge_index: Tensor, kept: Tensor, with_parameters: bool
) -> list[Tensor | None]:
    """The gradients of ``Σ dout ⊙ out`` by every input; ``None`` by the parameters unless ``with_parameters``."""
    d = _gradients(x, with_parameters)
    call(f"{name}_backward", x[2].size(1), _edges(x, edge_index), x, [dout], [kept], d)
    return d


def edges_double_backward(
    name: str,
    t: Sequence[Tensor | None],
    dout: Tensor,
    x: Sequence[Tensor],
    edge_index: Tensor,
    kept: Tensor,
    with_parameters: bool,
) -> tuple[Tensor, list[Tensor | None]]:
    """The gradients of ``Σ t · backward(dout, x)`` by ``dout`` and by every input, for tangents ``t`` of the rows."""
    ddout, d = torch.zeros_like(dout), _gradients(x, with_parameters)
    call(f"{name}_double_backward", x[2].size(1), _edges(x, edge_index), x, t, [dout], [kept], [ddout], d)
    return ddout, d


class _Edges(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("count", "neighbours", "radial")),
        ("centre", ctypes.c_void_p),
        ("neighbour", ctypes.c_void_p),
    ]


def _edges(x: Sequence[Tensor], index: Tensor) -> _Edges:
    _, b, _, radial, *_ = x
    return _Edges(index.size(1), len(b), radial.size(1), index[1].data_ptr(), index[0].data_ptr())


def _gradients(x: Sequence[Tensor], with_parameters: bool) -> list[Tensor | None]:
    """Tensors for gradients: zeros for sums, uninitialised ones for values of single bonds."""
    a, b, e, radial, *parameters = x
    rows = torch.zeros_like(a), torch.zeros_like(b), torch.empty_like(e), torch.empty_like(radial)
    return [*rows, *(torch.zeros_like(value) if with_parameters else None for value in parameters)]
