"""The angle sum as an operator of PyTorch."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from torch_gptff.ops import eager, native, operator, triton
from torch_gptff.ops.checks import check_pairs, check_shapes
from torch_gptff.ops.eager import Inputs
from torch_gptff.ops.native.kernel import Group
from torch_gptff.ops.native.operators import NativeKernels
from torch_gptff.ops.registered import PairKernels, register

FIRST_PARAMETER = Inputs._fields.index("weight")
MAX_KEPT = 1 << 22
"""Largest size, in numbers, of an intermediate result that is kept for the gradient."""


def angle_sum(x: Inputs, angle_index: Tensor) -> Tensor:
    r"""Sum the messages of the angles of every bond, without keeping anything for an angle.

    .. math::
        h_{ij} &= swish(p_i + q_j) \\
        out_i &= \sum_j swish(W_v h_{ij} + b_v) \odot \sigma(W_g h_{ij} + b_g) \odot k_j
            \odot (w_a \cos\theta_{ij} + b_a)

    over the pairs of bonds ``(i, j)`` in ``angle_index``. Twice differentiable; forward, gradient and second gradient
    recompute what they need, so that memory grows with the number of bonds and not of angles. On the CPU all three
    are compiled kernels where there is a compiler, elsewhere chunks of tensor operations; the compiled ones keep
    ``W h`` of every angle in training, and for small structures. Under the transforms of
    ``torch.func`` it is plain tensor operations on all angles at once, which those can take apart.

    Args:
        x: see :class:`~torch_gptff.ops.eager.Inputs`; 16-bit inputs are computed in float32
        angle_index: pairs of bonds, int64 ``[2, A]``; fastest with the angles of one centre together

    Returns:
        ``[S, d]``

    Raises:
        GraphError: the shapes, dtypes or devices do not fit together, or ``angle_index`` points to bonds that do not
            exist (not checked on a GPU, which would have to be waited for).
    """
    dtype = torch.promote_types(x.p.dtype, torch.float32)
    x = Inputs(*(value.to(dtype) for value in x))
    (total,) = operator.apply(_KERNELS, x, angle_index.contiguous(), _is_worth_keeping(x, angle_index))
    return total


def _is_worth_keeping(x: Inputs, angle_index: Tensor) -> bool:
    """Whether derivatives will come, and have less work if the forward pass keeps its product.

    In training it is needed three times. Where parameters are frozen, once, and memory is what large structures are
    short of.
    """
    if _implementation(x) is not native or not (torch.is_grad_enabled() and any(value.requires_grad for value in x)):
        return False
    is_training = any(value.requires_grad for value in x[FIRST_PARAMETER:])
    return is_training or angle_index.numel() // 2 * len(x.bias) <= MAX_KEPT


class _Angles(ctypes.Structure):
    _fields_ = [("count", ctypes.c_int64), ("first", ctypes.c_void_p), ("second", ctypes.c_void_p)]


class _Kernels(NativeKernels, PairKernels):
    name = "angle_sum"
    names = Inputs._fields
    n_parameters = len(Inputs._fields) - FIRST_PARAMETER
    moves_parameters = True

    def is_available(self, x: Sequence[Tensor], angle_index: Tensor) -> bool:
        return True

    def plain(self, x: Sequence[Tensor], angle_index: Tensor) -> tuple[Tensor, ...]:
        return (eager.at_once(Inputs(*x), angle_index),)

    def results(self, x: Sequence[Tensor], angle_index: Tensor, keep: bool) -> tuple[list[Tensor], Tensor]:
        p = x[0]
        return [p.new_zeros(p.shape)], p.new_empty(angle_index.size(1) if keep else 0, 2 * p.size(1))

    def gradients(self, x: Sequence[Tensor], angle_index: Tensor, with_parameters: bool) -> list[Tensor | None]:
        n = len(x) if with_parameters else FIRST_PARAMETER
        return [*map(torch.zeros_like, x[:n]), *[None] * (len(x) - n)]

    def check(self, x: Sequence[Tensor], angle_index: Tensor) -> None:
        n, d = x[0].shape
        shapes = [(n, d), (n, d), (n, d), (n, 3), (2 * d, d), (2 * d,), (d,), (d,)]
        check_shapes(dict(zip(self.names, x, strict=True)), shapes)
        if x[0].device.type == "cpu":
            check_pairs("angle_index", angle_index, (n, n))

    def call(self, kernel: str, x: Sequence[Tensor], index: Tensor, *others: Group) -> None:
        angles = _Angles(index.size(1), index[0].data_ptr(), index[1].data_ptr())
        native.call(f"angle_sum_{kernel}", x[0].size(1), angles, x, *others)

    def forward(self, x: Sequence[Tensor], angle_index: Tensor, keep: bool) -> tuple[list[Tensor], Tensor | None]:
        implementation = _implementation(x)
        if implementation is native:
            return super().forward(x, angle_index, keep)
        self.check(x, angle_index)
        return [implementation.forward(Inputs(*x), angle_index)], x[0].new_empty(0, 2 * x[0].size(1))

    def backward(
        self, dout: Sequence[Tensor], x: Sequence[Tensor], angle_index: Tensor, kept: Tensor, with_parameters: bool
    ) -> Sequence[Tensor | None]:
        implementation = _implementation(x)
        if implementation is native:
            return super().backward(dout, x, angle_index, kept, with_parameters)
        return implementation.backward(dout[0], Inputs(*x), angle_index, with_parameters)

    def double_backward(
        self,
        t: Sequence[Tensor | None],
        dout: Sequence[Tensor],
        x: Sequence[Tensor],
        angle_index: Tensor,
        kept: Tensor,
        with_parameters: bool,
    ) -> tuple[Sequence[Tensor], Sequence[Tensor | None]]:
        moves_parameters = t[-1] is not None
        implementation = eager if moves_parameters else _implementation(x)
        if implementation is native:
            return super().double_backward(t, dout, x, angle_index, kept, with_parameters)
        filled = [torch.zeros_like(value) if tangent is None else tangent for tangent, value in zip(t, x, strict=True)]
        ddout, d = implementation.double_backward(Inputs(*filled), dout[0], Inputs(*x), angle_index)
        return [ddout], d


def _implementation(x: Sequence[Tensor]) -> Any:
    """The fastest implementation for these features."""
    features = x[0]
    implementation = {"cpu": native, "cuda": triton}.get(features.device.type)
    if implementation is not None and implementation.is_available(features.dtype, features.size(1)):
        return implementation
    return eager


_KERNELS = _Kernels()
register("angle_sum", "angle_index", _KERNELS)
