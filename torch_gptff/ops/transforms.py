"""Detection of ``torch.func`` transforms, compilers, dispatch modes and tensor subclasses around an operator."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from torch_gptff.errors import GraphError


def under_transform() -> bool:
    """Whether ``torch.func``, which does not know custom operators, is differentiating or vectorising what runs now."""
    return torch._C._are_functorch_transforms_active()


def outside_transforms() -> AbstractContextManager[Any]:
    """A block in which tensors are made as if no transform of ``torch.func`` were at work: they have storage."""
    if not under_transform():
        return nullcontext()
    from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

    return temporarily_clear_interpreter_stack()


def unwrapped(value: Tensor) -> Tensor:
    """The values of a tensor that transforms of ``torch.func`` are differentiating.

    Raises:
        GraphError: ``torch.func.vmap`` makes it many tensors.
    """
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(value):
        if functorch.is_batchedtensor(value):
            raise GraphError(
                "under torch.func.vmap every sample would have a graph of its own: put the structures into one batch, "
                "or give the same edge_index and edge_shift to all"
            )
        value = functorch.get_unwrapped(value)
    return value


def is_plain(values: Iterable[Tensor]) -> bool:
    """Whether nothing but autograd has to see an operator of these tensors: no compiler, no dispatch mode, and no
    subclass of tensors."""
    return (
        not torch.compiler.is_compiling()
        and torch._C._len_torch_dispatch_stack() == 0
        and all(type(value) in (Tensor, torch.nn.Parameter) for value in values)
    )
