"""Operators in PyTorch's dispatcher, where the compiler, dispatch modes and subclasses of tensors look for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.library import CustomOpDef, custom_op

from torch_gptff.ops.operator import (
    Kernels,
    Registered,
    contiguous,
    differentiate,
    differentiate_twice,
    run_backward,
    run_double_backward,
    run_forward,
)


class PairKernels(Kernels):
    """Kernels of one result, of tensors with names and, as ``fixed``, an index of pairs, that always keep a tensor.

    Attributes:
        name: name of the operator
        names: names of the tensors
    """

    name: str
    names: Sequence[str]


def register(family: str, index: str, *members: PairKernels) -> None:
    """Make operators known to PyTorch's dispatcher, each of them by its name, and their derivatives by the family's::

        <name>(Tensor <x₁>, …, Tensor index, bool keep=True) -> (Tensor, Tensor)
        <family>_backward(Tensor dout, Tensor[] x, Tensor index, Tensor kept, bool with_parameters) -> Tensor[]
        <family>_double_backward(Tensor[] t, Tensor dout, Tensor[] x, Tensor index, Tensor kept, bool moves_parameters,
            bool with_parameters) -> Tensor[]

    The derivatives take the name first if there are several members; flags that kernels have no use for are left out.

    Args:
        family: begins the names of the derivatives
        index: name of the index of pairs
        members: kernels with the same derivatives but for their names
    """
    derivatives = _Derivatives(family, index, members)
    for kernels in members:
        forward = _register_forward(kernels, index)
        kernels.registered = Registered(forward, *derivatives.of(kernels))


def _register_forward(kernels: PairKernels, index: str) -> CustomOpDef:
    n = len(kernels.names)

    def forward(*inputs: Any) -> tuple[Tensor, Any]:
        (out,), kept = run_forward(kernels, contiguous(inputs[:n]), inputs[n].contiguous(), _keep(inputs))
        return out, kept

    def fake(*inputs: Any) -> tuple[Tensor, Any]:
        (out,), kept = kernels.results(inputs[:n], inputs[n], _keep(inputs))
        return out, kept

    def _keep(inputs: tuple[Any, ...]) -> bool:  # PyTorch leaves out what is as it is by default
        return inputs[n + 1] if len(inputs) > n + 1 else True

    def setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        kept = output[1]
        ctx.mark_non_differentiable(kept)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[: n + 1], kept)

    def backward(ctx: Any, dout: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        *x, index, kept = ctx.saved_tensors
        d = [None] * n if dout is None else differentiate(ctx, kernels, [dout], contiguous(x), index.contiguous(), kept)
        return (*d, None, None)

    tensors = ", ".join(f"Tensor {name}" for name in [*kernels.names, index])
    operator = _custom_op(kernels.name, f"{tensors}, bool keep=True", "(Tensor, Tensor)", forward)
    operator.register_fake(fake)
    operator.register_autograd(backward, setup_context=setup)
    return operator


class _Derivatives:
    def __init__(self, family: str, index: str, members: Sequence[PairKernels]) -> None:
        kernels = members[0]
        self.members = {kernels.name: kernels for kernels in members}
        self.by_name = len(members) > 1
        self.flags = ["with_parameters"] if kernels.n_parameters else []
        self.flags_of_second = ["moves_parameters", *self.flags] if kernels.moves_parameters else self.flags
        tensors = f"Tensor dout, Tensor[] x, Tensor {index}, Tensor kept"
        self.first = self._define(f"{family}_backward", tensors, self.flags, self.backward)
        self.first.register_fake(self.fake_backward)
        self.first.register_autograd(self.differentiate, setup_context=self.setup)
        tensors = f"Tensor[] t, {tensors}"
        self.second = self._define(f"{family}_double_backward", tensors, self.flags_of_second, self.double_backward)
        self.second.register_fake(self.fake_double_backward)

    def _define(self, name: str, tensors: str, flags: Sequence[str], function: Callable[..., Any]) -> CustomOpDef:
        arguments = [*["str name"] * self.by_name, tensors, *(f"bool {flag}" for flag in flags)]
        return _custom_op(name, ", ".join(arguments), "Tensor[]", function)

    def of(self, kernels: PairKernels) -> tuple[Callable[..., list[Tensor]], Callable[..., list[Tensor]]]:
        """Both derivatives of one member, with all flags."""
        which = [kernels.name] * self.by_name
        n, n_of_second = len(self.flags), len(self.flags_of_second)

        def backward(dout: Tensor, x: list[Tensor], index: Tensor, kept: Tensor, *flags: bool) -> list[Tensor]:
            return self.first(*which, dout, x, index, kept, *flags[1 - n :])

        def double_backward(t: list[Tensor], dout: Tensor, x: list[Tensor], *others: Any) -> list[Tensor]:
            index, kept, *flags = others
            return self.second(*which, t, dout, x, index, kept, *flags[2 - n_of_second :])

        return backward, double_backward

    def _split(self, arguments: tuple[Any, ...]) -> tuple[PairKernels, Any]:
        if self.by_name:
            return self.members[arguments[0]], arguments[1:]
        return next(iter(self.members.values())), arguments

    def backward(self, *arguments: Any) -> list[Tensor]:
        kernels, (dout, x, index, kept, *flags) = self._split(arguments)
        return _zeros_for_none(run_backward(kernels, [dout], contiguous(x), index.contiguous(), kept, any(flags)), x)

    def fake_backward(self, *arguments: Any) -> list[Tensor]:
        _, (_, x, *_) = self._split(arguments)
        return [value.new_empty(value.shape) for value in x]

    def setup(self, ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
        ctx.kernels, (dout, x, index, kept, *flags) = self._split(inputs)
        ctx.with_parameters = any(flags)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(dout, *x, index, kept)

    def differentiate(self, ctx: Any, tangents: list[Tensor | None]) -> tuple[Any, ...]:
        dout, *x, index, kept = ctx.saved_tensors
        (ddout,), d = differentiate_twice(
            ctx.kernels, tangents, [dout], x, index.contiguous(), kept, ctx.with_parameters
        )
        return (*[None] * self.by_name, ddout, list(d), None, None, *[None] * len(self.flags))

    def double_backward(self, *arguments: Any) -> list[Tensor]:
        kernels, (t, dout, x, index, kept, *given) = self._split(arguments)
        moves_parameters, with_parameters = [False] * (2 - len(given)) + list(given)
        index = index.contiguous()
        ddout, d = run_double_backward(kernels, t, [dout], x, index, kept, moves_parameters, with_parameters)
        return [*ddout, *_zeros_for_none(d, x)]

    def fake_double_backward(self, *arguments: Any) -> list[Tensor]:
        _, (_, dout, x, *_) = self._split(arguments)
        return [value.new_empty(value.shape) for value in (dout, *x)]


def _custom_op(name: str, arguments: str, results: str, function: Callable[..., Any]) -> CustomOpDef:
    schema = f"({arguments}) -> {results}"
    return custom_op(f"torch_gptff::{name}", function, mutates_args=(), schema=schema)


def _zeros_for_none(values: Sequence[Tensor | None], like: Sequence[Tensor]) -> list[Tensor]:
    return [v.new_zeros(v.shape) if value is None else value for value, v in zip(values, like, strict=True)]
