"""Operators of PyTorch from kernels: differentiable twice by kernels, and further by a plain formula."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch.autograd import Function

from torch_gptff.ops.needed import needed
from torch_gptff.ops.transforms import is_plain, under_transform


class Kernels(Protocol):
    """A function of tensors ``x``, its gradient and the gradient of that.

    Attributes:
        n_parameters: how many of ``x``, the last ones, the kernels take no tangents of: parameters, and what is
            computed from parameters alone

    ``fixed`` is what the function depends on beside ``x``: indices, sizes and settings.
    """

    n_parameters: int

    def can_take(self, dtype: torch.dtype, *sizes: int) -> bool:
        """Whether there are kernels for inputs of this dtype and these sizes, which differ from function to function."""

    def plain(self, x: Sequence[Tensor], fixed: Any) -> tuple[Tensor, ...]:
        """The function in plain tensor operations, which autograd differentiates as often as wanted."""

    def forward(self, x: Sequence[Tensor], fixed: Any) -> list[Tensor]:
        """The function."""

    def backward(
        self, dout: Sequence[Tensor], x: Sequence[Tensor], fixed: Any, with_parameters: bool
    ) -> list[Tensor | None]:
        """The gradients of ``Σ dout · out`` by each of ``x``; ``None`` by parameters that are not asked for."""

    def double_backward(
        self, t: Sequence[Tensor], dout: Sequence[Tensor], x: Sequence[Tensor], fixed: Any, with_parameters: bool
    ) -> tuple[list[Tensor], list[Tensor | None]]:
        """The gradients of ``Σ t · backward(dout, x)`` by each of ``dout`` and of ``x``."""


K = TypeVar("K", bound=Kernels)


def choose(x: Sequence[Tensor], sizes: Sequence[int], cpu: K, cuda: K | None = None) -> K | None:
    """The kernels of the device of some inputs; ``None`` where there are none, and the plain formula is to be taken."""
    kernels = {"cpu": cpu, "cuda": cuda}.get(x[0].device.type)
    if kernels is None or under_transform() or not is_plain(x) or not kernels.can_take(x[0].dtype, *sizes):
        return None
    return kernels


def apply(kernels: Kernels, x: Sequence[Tensor], fixed: Any) -> tuple[Tensor, ...]:
    """The function of some kernels, as an operator.

    Args:
        kernels: see :class:`Kernels`
        x: tensors that it is differentiated by, contiguous, of one dtype, on the device of the kernels
        fixed: whatever else the kernels take
    """
    return _Forward.apply(*x, kernels, fixed)  # tensors first: see needed()


class _Forward(Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        *x, kernels, fixed = inputs
        ctx.kernels, ctx.fixed = kernels, fixed
        ctx.save_for_backward(*x)
        return tuple(kernels.forward(x, fixed))

    @staticmethod
    def backward(ctx: Any, *dout: Tensor) -> tuple[Tensor | None, ...]:
        x, kernels = ctx.saved_tensors, ctx.kernels
        with_parameters = needed(ctx, range(len(x) - kernels.n_parameters, len(x)))
        if torch.is_grad_enabled():
            gradients = _Backward.apply(*dout, *x, kernels, ctx.fixed, with_parameters, len(dout))
        else:
            gradients = kernels.backward(_contiguous(dout), x, ctx.fixed, with_parameters)
        return (*gradients, None, None)


class _Backward(Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor | None, ...]:
        *tensors, kernels, fixed, with_parameters, n_out = inputs
        ctx.kernels, ctx.fixed, ctx.n_out = kernels, fixed, n_out
        ctx.with_parameters = with_parameters
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        return tuple(kernels.backward(_contiguous(tensors[:n_out]), tensors[n_out:], fixed, with_parameters))

    @staticmethod
    def backward(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor | None, ...]:
        kernels = ctx.kernels
        dout, x = ctx.saved_tensors[: ctx.n_out], ctx.saved_tensors[ctx.n_out :]
        first = len(x) - kernels.n_parameters
        if not ctx.with_parameters:  # their gradients are not there, so that nothing can move them
            tangents = (*tangents[:first], *[None] * (len(x) - first))
        if torch.is_grad_enabled() or any(tangent is not None for tangent in tangents[first:]):
            ddout, d = _differentiate_twice(kernels, ctx.fixed, tangents, dout, x)
        else:
            t = [torch.zeros_like(v) if tangent is None else tangent for tangent, v in zip(tangents, x, strict=True)]
            with_parameters = any(ctx.needs_input_grad[ctx.n_out + first : ctx.n_out + len(x)])
            ddout, d = kernels.double_backward(_contiguous(t), _contiguous(dout), x, ctx.fixed, with_parameters)
        return (*ddout, *d, None, None, None, None)


def _contiguous(values: Sequence[Tensor]) -> list[Tensor]:
    return [value.contiguous() for value in values]


def _differentiate_twice(
    kernels: Kernels, fixed: Any, t: Sequence[Tensor | None], dout: Sequence[Tensor], x: Sequence[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """As :meth:`Kernels.double_backward`, through autograd."""
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad(), torch.autocast(x[0].device.type, enabled=False):
        # Views, so that a gradient ends here also where one input was computed from another, or is the same.
        dout = [value.view_as(value).requires_grad_() for value in dout]
        x = [value.view_as(value).requires_grad_() for value in x]
        gradients = torch.autograd.grad(kernels.plain(x, fixed), x, dout, create_graph=True, materialize_grads=True)
        moving = [(gradient, tangent) for gradient, tangent in zip(gradients, t, strict=True) if tangent is not None]
        results = torch.autograd.grad(
            [gradient for gradient, _ in moving],
            [*dout, *x],
            [tangent for _, tangent in moving],
            create_graph=differentiable,
            materialize_grads=True,
        )
    return list(results[: len(dout)]), list(results[len(dout) :])
