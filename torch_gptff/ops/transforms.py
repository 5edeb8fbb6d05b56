"""What else may have a hand in an operator: the transforms of ``torch.func``, the compiler, modes and subclasses."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def under_transform() -> bool:
    """Whether ``torch.func``, which does not know custom operators, is differentiating or vectorising what runs now."""
    return torch._C._are_functorch_transforms_active()


def is_plain(values: Iterable[Tensor]) -> bool:
    """Whether nothing but autograd has to see an operator of these tensors: no compiler, no dispatch mode, and no
    subclass of tensors."""
    return (
        not torch.compiler.is_compiling()
        and torch._C._len_torch_dispatch_stack() == 0
        and all(type(value) in (Tensor, torch.nn.Parameter) for value in values)
    )
