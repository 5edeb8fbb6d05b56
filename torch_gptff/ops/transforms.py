"""What else may have a hand in an operator: the transforms of ``torch.func``, the compiler, modes and subclasses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


def under_transform() -> bool:
    """Whether ``torch.func``, which does not know custom operators, is differentiating or vectorising what runs now."""
    return torch._C._are_functorch_transforms_active()


def is_plain(values: Iterable[Tensor]) -> bool:
    """Whether nothing but autograd has to see an operator of these tensors.

    The way through PyTorch's dispatcher takes a custom operator some 100 µs, as long as the work of a small crystal:
    where neither a compiler nor a dispatch mode nor a subclass of tensors wants to see it, it is called directly.
    """
    return (
        not torch.compiler.is_compiling()
        and torch._C._len_torch_dispatch_stack() == 0
        and all(type(value) in (Tensor, torch.nn.Parameter) for value in values)
    )


def direct(
    name: str, forward: Callable[..., Any], setup_context: Callable[..., None], backward: Callable[..., Any]
) -> type[Function]:
    """An operator for autograd alone, of the functions that make the custom operator."""

    def run(ctx: Any, *inputs: Any) -> Any:
        output = forward(*inputs)
        setup_context(ctx, inputs, output)
        return output

    return type(name, (Function,), {"forward": staticmethod(run), "backward": staticmethod(backward)})
