"""Operators of PyTorch from kernels: differentiable twice by kernels, and further by a plain formula."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.autograd import Function

from torch_gptff.ops.needed import needed
from torch_gptff.ops.transforms import is_plain, under_transform


class Registered(NamedTuple):
    """An operator of one result as PyTorch's dispatcher knows it, see :func:`torch_gptff.ops.registered.register`.

    Attributes:
        forward: ``(*x, fixed, keep)`` to the result and what is kept
        backward: ``(dout, x, fixed, kept, with_parameters)`` to the gradients, zeros for those that are left out
        double_backward: ``(t, dout, x, fixed, kept, moves_parameters, with_parameters)`` to ``ddout`` and the gradients
    """

    forward: Callable[..., tuple[Tensor, Tensor]]
    backward: Callable[..., list[Tensor]]
    double_backward: Callable[..., list[Tensor]]


class Kernels(ABC):
    """A function of tensors ``x``, its gradient and the gradient of that.

    ``fixed`` is what the function depends on beside ``x``: indices, sizes and settings. All tensors that the kernels
    are given are contiguous.

    Attributes:
        n_parameters: number of tensors at the end of ``x`` that are parameters, or computed from parameters alone
        moves_parameters: whether :meth:`double_backward` takes tangents of the parameters too. Otherwise, where there
            are any, the formula is differentiated in its place, and for third derivatives, which are refused here
        registered: operator in PyTorch's dispatcher. Without it, the formula is used where a dispatcher is needed
    """

    n_parameters = 0
    moves_parameters = False
    registered: Registered | None = None

    @abstractmethod
    def is_available(self, x: Sequence[Tensor], fixed: Any) -> bool:
        """Whether there are kernels for such tensors; the formula is used otherwise."""

    @abstractmethod
    def plain(self, x: Sequence[Tensor], fixed: Any) -> tuple[Tensor, ...]:
        """The function in plain tensor operations, which autograd differentiates as often as wanted."""

    @abstractmethod
    def results(self, x: Sequence[Tensor], fixed: Any, keep: bool) -> tuple[list[Tensor], Tensor | None]:
        """Empty tensors of the shapes that :meth:`forward` returns."""

    @abstractmethod
    def forward(self, x: Sequence[Tensor], fixed: Any, keep: bool) -> tuple[list[Tensor], Tensor | None]:
        """The function, and intermediate results for its derivatives, more of them with ``keep``."""

    @abstractmethod
    def backward(
        self, dout: Sequence[Tensor], x: Sequence[Tensor], fixed: Any, kept: Any, with_parameters: bool
    ) -> Sequence[Tensor | None]:
        """The gradients of ``Σ dout · out`` by each of ``x``; ``None`` by parameters that are not asked for."""

    @abstractmethod
    def double_backward(
        self,
        t: Sequence[Tensor | None],
        dout: Sequence[Tensor],
        x: Sequence[Tensor],
        fixed: Any,
        kept: Any,
        with_parameters: bool,
    ) -> tuple[Sequence[Tensor], Sequence[Tensor | None]]:
        """The gradients of ``Σ t · backward(dout, x)`` by each of ``dout`` and of ``x``.

        Tangents ``t`` of the parameters are ``None`` unless any of them moves.
        """


K = TypeVar("K", bound=Kernels)


def of_device(device: torch.device, cpu: K, cuda: K) -> K:
    """The kernels for a device; those for the CPU know the formula, which is taken on any other."""
    return cuda if device.type == "cuda" else cpu


def apply(kernels: Kernels, x: Sequence[Tensor], fixed: Any, keep: bool = False) -> tuple[Tensor, ...]:
    """The function of some kernels, as an operator.

    The way through PyTorch's dispatcher takes some 100 µs, as long as the work of a small crystal. It is taken where a
    compiler, a dispatch mode or a subclass of tensors wants to see the operator; otherwise it is for autograd alone.

    Args:
        kernels: see :class:`Kernels`
        x: tensors that it is differentiated by, of one dtype
        fixed: other arguments of the kernels
        keep: see :meth:`Kernels.forward`
    """
    if under_transform() or not kernels.is_available(x, fixed):
        return kernels.plain(x, fixed)
    if is_plain(x):
        return _Forward.apply(*contiguous(x), kernels, fixed, keep)  # tensors first: see needed()
    if kernels.registered is None:
        return kernels.plain(x, fixed)
    return kernels.registered.forward(*contiguous(x), fixed, keep)[:1]


class _Forward(Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        *x, kernels, fixed, keep = inputs
        ctx.kernels, ctx.fixed = kernels, fixed
        out, kept = run_forward(kernels, x, fixed, keep)
        ctx.save_for_backward(*x, kept)
        return tuple(out)

    @staticmethod
    def backward(ctx: Any, *dout: Tensor) -> tuple[Tensor | None, ...]:
        *x, kept = ctx.saved_tensors
        return (*differentiate(ctx, ctx.kernels, dout, x, ctx.fixed, kept), None, None, None)


class _Backward(Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor | None, ...]:
        *tensors, kernels, fixed, kept, with_parameters, n_out = inputs
        ctx.kernels, ctx.fixed, ctx.with_parameters, ctx.n_out = kernels, fixed, with_parameters, n_out
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, kept)
        return tuple(run_backward(kernels, tensors[:n_out], tensors[n_out:], fixed, kept, with_parameters))

    @staticmethod
    def backward(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor | None, ...]:
        *tensors, kept = ctx.saved_tensors
        dout, x = tensors[: ctx.n_out], tensors[ctx.n_out :]
        ddout, d = differentiate_twice(ctx.kernels, tangents, dout, x, ctx.fixed, kept, ctx.with_parameters)
        return (*ddout, *d, None, None, None, None, None)


def differentiate(
    ctx: Any, kernels: Kernels, dout: Sequence[Tensor], x: Sequence[Tensor], fixed: Any, kept: Any
) -> Sequence[Tensor | None]:
    """The gradients by ``x``, such that they can be differentiated where that is wanted.

    Args:
        ctx: context of the operator's backward function, whose first inputs are ``x``
    """
    with_parameters = needed(ctx, range(len(x) - kernels.n_parameters, len(x)))
    if kernels.registered is not None and not is_plain(dout):
        return kernels.registered.backward(*dout, list(x), fixed, kept, with_parameters)
    if torch.is_grad_enabled():
        return _Backward.apply(*dout, *x, kernels, fixed, kept, with_parameters, len(dout))
    return run_backward(kernels, dout, x, fixed, kept, with_parameters)


def differentiate_twice(
    kernels: Kernels,
    t: Sequence[Tensor | None],
    dout: Sequence[Tensor],
    x: Sequence[Tensor],
    fixed: Any,
    kept: Any,
    with_parameters: bool,
) -> tuple[Sequence[Tensor | None], Sequence[Tensor | None]]:
    """As :meth:`Kernels.double_backward`, such that it can be differentiated where that is wanted and possible.

    Args:
        t: tangents of ``x``; ``None`` for zero
        with_parameters: whether the gradients by parameters were asked for
    """
    first = len(x) - kernels.n_parameters
    if not with_parameters:  # without their gradients, nothing can move them
        t = [*t[:first], *[None] * kernels.n_parameters]
    if all(tangent is None for tangent in t):
        return [None] * len(dout), t
    # A loss of forces does not look at the gradients by parameters: nothing there is the usual case.
    moves_parameters = any(tangent is not None for tangent in t[first:])
    if not kernels.moves_parameters and (moves_parameters or torch.is_grad_enabled()):
        return _by_formula(kernels, t, dout, x, fixed)
    every = [torch.zeros_like(value) if tangent is None else tangent for tangent, value in zip(t, x, strict=True)]
    flags = moves_parameters, any(value.requires_grad for value in x[first:])
    if kernels.registered is not None and (torch.is_grad_enabled() or not is_plain(every)):
        ddout, *d = kernels.registered.double_backward(every, *dout, list(x), fixed, kept, *flags)
        return [ddout], d
    return run_double_backward(kernels, every, dout, x, fixed, kept, *flags)


def run_forward(
    kernels: Kernels, x: Sequence[Tensor], fixed: Any, keep: bool
) -> tuple[Sequence[Tensor], Tensor | None]:
    """See :meth:`Kernels.forward`; like the two below also under autocast."""
    with _full_precision(x):
        return kernels.forward(x, fixed, keep)


def run_backward(
    kernels: Kernels, dout: Sequence[Tensor], x: Sequence[Tensor], fixed: Any, kept: Any, with_parameters: bool
) -> Sequence[Tensor | None]:
    """See :meth:`Kernels.backward`; ``dout`` in any order of memory."""
    with _full_precision(x):
        return kernels.backward(contiguous(dout), x, fixed, kept, with_parameters)


def run_double_backward(
    kernels: Kernels,
    t: Sequence[Tensor],
    dout: Sequence[Tensor],
    x: Sequence[Tensor],
    fixed: Any,
    kept: Any,
    moves_parameters: bool,
    with_parameters: bool,
) -> tuple[Sequence[Tensor], Sequence[Tensor | None]]:
    """See :meth:`Kernels.double_backward`; ``t``, ``dout`` and ``x`` in any order of memory."""
    n_moving = len(x) if moves_parameters else len(x) - kernels.n_parameters
    moving = [*contiguous(t[:n_moving]), *[None] * (len(x) - n_moving)]
    with _full_precision(x):
        return kernels.double_backward(moving, contiguous(dout), contiguous(x), fixed, kept, with_parameters)


def contiguous(values: Sequence[Tensor]) -> list[Tensor]:
    """Row by row in memory, as kernels take them."""
    return [value.contiguous() for value in values]


_AS_IT_IS = nullcontext()


def _full_precision(x: Sequence[Tensor]) -> AbstractContextManager[None]:
    """Disable autocast, which is not meant for the operations inside an operator."""
    return torch.autocast(x[0].device.type, enabled=False) if torch._C._is_any_autocast_enabled() else _AS_IT_IS


def _by_formula(
    kernels: Kernels, t: Sequence[Tensor | None], dout: Sequence[Tensor], x: Sequence[Tensor], fixed: Any
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
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
    return results[: len(dout)], results[len(dout) :]
