"""The angle sum as an operator of PyTorch: three operators, each the derivative of the one before."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from torch_gptff.ops import eager, native
from torch_gptff.ops.eager import Inputs

N_INPUTS = len(Inputs._fields)


def angle_sum(x: Inputs, angle_index: Tensor) -> Tensor:
    r"""Sum the messages of the angles of every bond, without keeping anything for an angle.

    .. math::
        h_{ij} &= swish(p_i + q_j) \\
        out_i &= \sum_j swish(W_v h_{ij} + b_v) \odot \sigma(W_g h_{ij} + b_g) \odot k_j
            \odot (w_a \cos\theta_{ij} + b_a)

    over the pairs of bonds ``(i, j)`` in ``angle_index``. Twice differentiable; forward, gradient and second gradient
    recompute what they need, so that memory grows with the number of bonds and not of angles. On the CPU all three
    are compiled kernels where there is a compiler, elsewhere chunks of tensor operations.

    Args:
        x: see :class:`~torch_gptff.ops.eager.Inputs`; 16-bit inputs are computed in float32
        angle_index: pairs of bonds, int64 ``[2, A]``; fastest with the angles of one centre together

    Returns:
        ``[S, d]``
    """
    dtype = torch.promote_types(x.p.dtype, torch.float32)
    return torch.ops.torch_gptff.angle_sum(*(value.to(dtype) for value in x), angle_index)


@custom_op("torch_gptff::angle_sum", mutates_args=())
def _forward(
    p: Tensor,
    q: Tensor,
    k: Tensor,
    direction: Tensor,
    weight: Tensor,
    bias: Tensor,
    angle_weight: Tensor,
    angle_bias: Tensor,
    angle_index: Tensor,
) -> Tensor:
    x = Inputs(p, q, k, direction, weight, bias, angle_weight, angle_bias)
    return _kernels(x).forward(x, angle_index)


@custom_op("torch_gptff::angle_sum_backward", mutates_args=())
def _backward(dout: Tensor, x: list[Tensor], angle_index: Tensor, with_parameters: bool) -> list[Tensor]:
    inputs = Inputs(*x)
    return list(_kernels(inputs).backward(dout, inputs, angle_index, with_parameters))


@custom_op("torch_gptff::angle_sum_double_backward", mutates_args=())
def _double_backward(
    t: list[Tensor], dout: Tensor, x: list[Tensor], angle_index: Tensor, with_parameters: bool
) -> list[Tensor]:
    inputs = Inputs(*x)
    kernels = eager if with_parameters else _kernels(inputs)
    ddout, d = kernels.double_backward(Inputs(*t), dout, inputs, angle_index)
    return [ddout, *d]


def _kernels(x: Inputs) -> Any:
    """The fastest implementation there is for these inputs."""
    if x.p.device.type == "cpu" and native.is_available(x):
        return native
    return eager


@_forward.register_fake
def _(p: Tensor, *others: Tensor) -> Tensor:
    return torch.empty_like(p)


@_backward.register_fake
def _(dout: Tensor, x: list[Tensor], angle_index: Tensor, with_parameters: bool) -> list[Tensor]:
    return [torch.empty_like(value) for value in x]


@_double_backward.register_fake
def _(t: list[Tensor], dout: Tensor, x: list[Tensor], angle_index: Tensor, with_parameters: bool) -> list[Tensor]:
    return [torch.empty_like(value) for value in (dout, *x)]


def _keep_forward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate_forward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
    *x, angle_index = ctx.saved_tensors
    with_parameters = any(ctx.needs_input_grad[4:N_INPUTS])
    gradients = torch.ops.torch_gptff.angle_sum_backward(dout, x, angle_index, with_parameters)
    wanted = ctx.needs_input_grad[:N_INPUTS]
    return (*(g if w else None for g, w in zip(gradients, wanted, strict=True)), None)


def _keep_backward(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    dout, x, angle_index, with_parameters = inputs
    ctx.with_parameters = with_parameters
    ctx.save_for_backward(dout, *x, angle_index)


def _differentiate_backward(ctx: Any, tangents: list[Tensor | None]) -> tuple[Any, ...]:
    dout, *x, angle_index = ctx.saved_tensors
    t = [torch.zeros_like(v) if tangent is None else tangent for tangent, v in zip(tangents, x, strict=True)]
    ddout, *d = torch.ops.torch_gptff.angle_sum_double_backward(t, dout, x, angle_index, ctx.with_parameters)
    return ddout, d, None, None


_forward.register_autograd(_differentiate_forward, setup_context=_keep_forward)
_backward.register_autograd(_differentiate_backward, setup_context=_keep_backward)
