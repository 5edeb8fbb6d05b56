"""The angle sum as an operator of PyTorch: three operators, each the derivative of the one before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from torch_gptff.ops import eager, native, triton
from torch_gptff.ops.checks import check_pairs, check_shapes
from torch_gptff.ops.eager import Inputs
from torch_gptff.ops.needed import needed
from torch_gptff.ops.transforms import direct, is_plain, under_transform

N_INPUTS = len(Inputs._fields)
FIRST_PARAMETER = Inputs._fields.index("weight")
MAX_KEPT = 1 << 22
"""Numbers, up to which what a gradient can use is kept."""


def angle_sum(x: Inputs, angle_index: Tensor) -> Tensor:
    r"""Sum the messages of the angles of every bond, without keeping anything for an angle.

    .. math::
        h_{ij} &= swish(p_i + q_j) \\
        out_i &= \sum_j swish(W_v h_{ij} + b_v) \odot \sigma(W_g h_{ij} + b_g) \odot k_j
            \odot (w_a \cos\theta_{ij} + b_a)

    over the pairs of bonds ``(i, j)`` in ``angle_index``. Twice differentiable; forward, gradient and second gradient
    recompute what they need, so that memory grows with the number of bonds and not of angles. On the CPU all three
    are compiled kernels where there is a compiler, elsewhere chunks of tensor operations; the compiled ones keep
    ``W h`` of every angle in training, and for structures so small that memory is no matter. Under the transforms of
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
    if under_transform():
        return eager.at_once(x, angle_index)
    total = _Direct.apply if is_plain(x) else torch.ops.torch_gptff.angle_sum
    return total(*x, angle_index, _is_worth_keeping(x, angle_index))[0]


def _is_worth_keeping(x: Inputs, angle_index: Tensor) -> bool:
    """Whether derivatives will come, and have less work if the forward pass keeps its product.

    In training it is needed three times. Where parameters are frozen, once, and memory is what large structures are
    short of.
    """
    if _kernels(x.p) is not native or not (torch.is_grad_enabled() and any(value.requires_grad for value in x)):
        return False
    is_training = any(value.requires_grad for value in x[FIRST_PARAMETER:])
    return is_training or angle_index.numel() // 2 * len(x.bias) <= MAX_KEPT


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
    keep: bool,
) -> tuple[Tensor, Tensor]:
    x = Inputs(p, q, k, direction, weight, bias, angle_weight, angle_bias)
    n, d = p.shape
    check_shapes(x._asdict(), [(n, d), (n, d), (n, d), (n, 3), (2 * d, d), (2 * d,), (d,), (d,)])
    if p.device.type == "cpu":
        check_pairs("angle_index", angle_index, (n, n))
    with _full_precision(p):
        if _kernels(p) is native:
            return native.forward(_contiguous(x), angle_index, keep)
        return _kernels(p).forward(_contiguous(x), angle_index), _nothing(p)


def _backward(dout: Tensor, x: list[Tensor], angle_index: Tensor, kept: Tensor, with_parameters: bool) -> list[Tensor]:
    inputs, dout = _contiguous(x), dout.contiguous()
    with _full_precision(dout):
        if _kernels(dout) is native:
            return list(native.backward(dout, inputs, angle_index, kept, with_parameters))
        return list(_kernels(dout).backward(dout, inputs, angle_index, with_parameters))


@custom_op("torch_gptff::angle_sum_double_backward", mutates_args=())
def _double_backward(
    t: list[Tensor],
    dout: Tensor,
    x: list[Tensor],
    angle_index: Tensor,
    kept: Tensor,
    moves_parameters: bool,
    with_parameters: bool,
) -> list[Tensor]:
    inputs, tangents, dout = _contiguous(x), _contiguous(t), dout.contiguous()
    kernels = eager if moves_parameters else _kernels(dout)
    with _full_precision(dout):
        if kernels is native:
            ddout, d = native.double_backward(tangents, dout, inputs, angle_index, kept, with_parameters)
        else:
            ddout, d = kernels.double_backward(tangents, dout, inputs, angle_index)
    return [ddout, *d]


def _kernels(features: Tensor) -> Any:
    """The fastest implementation there is for these features."""
    implementation = {"cpu": native, "cuda": triton}.get(features.device.type)
    if implementation is not None and implementation.is_available(features.dtype, features.size(1)):
        return implementation
    return eager


def _contiguous(x: Iterable[Tensor]) -> Inputs:
    return Inputs(*(value.contiguous() for value in x))


def _full_precision(features: Tensor) -> torch.autocast:
    """Autocast is for the operations in the model, not for those inside an operator."""
    return torch.autocast(features.device.type, enabled=False)


_operator = custom_op("torch_gptff::angle_sum", _forward, mutates_args=())
_backward_operator = custom_op("torch_gptff::angle_sum_backward", _backward, mutates_args=())


@_operator.register_fake
def _(p: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    *_, angle_index, keep = others
    return _empty(p), p.new_empty(angle_index.size(1) if keep else 0, 2 * p.size(1))


@_backward_operator.register_fake
def _(dout: Tensor, x: list[Tensor], *others: Any) -> list[Tensor]:
    return [_empty(value) for value in x]


@_double_backward.register_fake
def _(t: list[Tensor], dout: Tensor, x: list[Tensor], *others: Any) -> list[Tensor]:
    return [_empty(value) for value in (dout, *x)]


def _empty(value: Tensor) -> Tensor:
    return torch.empty_like(value, memory_format=torch.contiguous_format)


def _nothing(p: Tensor) -> Tensor:
    return p.new_empty(0, 2 * p.size(1))


def _keep_forward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *x, angle_index, _ = inputs
    kept = output[1]
    ctx.mark_non_differentiable(kept)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*x, angle_index, kept)


def _differentiate_forward(ctx: Any, dout: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    *x, angle_index, kept = ctx.saved_tensors
    if dout is None:
        return (None,) * (N_INPUTS + 2)
    with_parameters = needed(ctx, range(FIRST_PARAMETER, N_INPUTS))
    is_last = not torch.is_grad_enabled() and is_plain([dout])
    backward = _backward if is_last else torch.ops.torch_gptff.angle_sum_backward
    gradients = backward(dout, x, angle_index, kept, with_parameters)
    wanted = ctx.needs_input_grad[:N_INPUTS]
    return (*(g if w else None for g, w in zip(gradients, wanted, strict=True)), None, None)


def _keep_backward(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    dout, x, angle_index, kept, ctx.with_parameters = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(dout, *x, angle_index, kept)


def _differentiate_backward(ctx: Any, tangents: list[Tensor | None]) -> tuple[Any, ...]:
    dout, *x, angle_index, kept = ctx.saved_tensors
    if not ctx.with_parameters:  # their gradients are zero, whatever their values
        tangents = [*tangents[:FIRST_PARAMETER], *[None] * (N_INPUTS - FIRST_PARAMETER)]
    # A loss of forces does not look at the gradients by the parameters: nothing there is the usual case.
    moves_parameters = any(tangent is not None for tangent in tangents[FIRST_PARAMETER:])
    with_parameters = any(value.requires_grad for value in x[FIRST_PARAMETER:])
    t = [torch.zeros_like(v) if tangent is None else tangent for tangent, v in zip(tangents, x, strict=True)]
    ddout, *d = torch.ops.torch_gptff.angle_sum_double_backward(
        t, dout, x, angle_index, kept, moves_parameters, with_parameters
    )
    return ddout, d, None, None, None


_operator.register_autograd(_differentiate_forward, setup_context=_keep_forward)
_backward_operator.register_autograd(_differentiate_backward, setup_context=_keep_backward)
_Direct = direct("AngleSum", _forward, _keep_forward, _differentiate_forward)
