"""The angle sum on a GPU, in kernels that write nothing for an angle to memory.

Sums over angles are atomic additions, so that two runs may differ in rounding. Shapes, dtypes and contiguity are the
operators' to see to.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from torch_gptff.graph.geometry import COSINE_SCALE
from torch_gptff.ops.eager import Inputs

WIDTHS = (16, 32, 64, 128)
"""Numbers of channels with kernels: a block of angles and both halves of the weight must fit a multiprocessor."""

BLOCK = 32
"""Number of angles of one program."""

COPIES = 32
"""Number of copies of the parameters' gradients, to which programs add in turn, so that few wait for an address."""


def is_available(dtype: torch.dtype, channels: int) -> bool:
    """Whether there are kernels for features of this dtype and width, and their sums may depend on timing."""
    has_kernels = dtype == torch.float32 and channels in WIDTHS and find_spec("triton") is not None
    return has_kernels and not torch.are_deterministic_algorithms_enabled()


def forward(x: Inputs, angle_index: Tensor) -> Tensor:
    """See :func:`torch_gptff.ops.eager.forward`."""
    from torch_gptff.ops.triton import kernels

    out = torch.zeros_like(x.p)
    _launch(kernels.forward, angle_index, *x, out, num_warps=4)
    return out


def backward(dout: Tensor, x: Inputs, angle_index: Tensor, with_parameters: bool) -> Inputs:
    """See :func:`torch_gptff.ops.eager.backward`."""
    from torch_gptff.ops.triton import kernels

    d = _gradients(x, with_parameters)
    _launch(kernels.backward, angle_index, dout, *x, *d, WITH_PARAMETERS=with_parameters, num_warps=8)
    return _summed(d, with_parameters)


def double_backward(t: Inputs, dout: Tensor, x: Inputs, angle_index: Tensor) -> tuple[Tensor, Inputs]:
    """See :func:`torch_gptff.ops.eager.double_backward`; the parameters' tangents are taken to be zero."""
    from torch_gptff.ops.triton import kernels

    ddout, d = torch.zeros_like(dout), _gradients(x, with_parameters=True)
    _launch(kernels.double_backward, angle_index, *t[:4], dout, *x, ddout, *d, num_warps=8)
    return ddout, _summed(d, with_parameters=True)


def _launch(kernel: Any, angle_index: Tensor, *tensors: Tensor, num_warps: int, **constants: Any) -> None:
    count, features = angle_index.size(1), tensors[0]
    if not count:
        return
    with torch.cuda.device_of(features):
        kernel[(-(-count // BLOCK),)](
            *tensors,
            angle_index.contiguous(),
            count,
            SCALE=COSINE_SCALE,
            D=features.size(1),
            BLOCK=BLOCK,
            COPIES=COPIES,
            PRECISION="tf32" if torch.backends.cuda.matmul.allow_tf32 else "ieee",
            num_warps=num_warps,
            enable_fp_fusion=True,
            **constants,
        )


def _gradients(x: Inputs, with_parameters: bool) -> Inputs:
    copies = COPIES if with_parameters else 1
    rows = (torch.zeros_like(value) for value in x[:4])
    return Inputs(*rows, *(value.new_zeros(copies, *value.shape) for value in x[4:]))


def _summed(d: Inputs, with_parameters: bool) -> Inputs:
    return Inputs(*d[:4], *(copies.sum(dim=0) if with_parameters else copies[0] for copies in d[4:]))
