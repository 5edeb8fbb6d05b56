"""Detection of the gradients that a backward pass uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch


def needed(ctx: Any, inputs: Iterable[int]) -> bool:
    """Whether the backward pass under way uses the gradient by any of these inputs of an operator.

    ``ctx.needs_input_grad`` says of the parameters of a model in training that they do, also where
    :func:`torch.autograd.grad` has asked for other gradients only: for forces, say.

    Args:
        ctx: context of an operator's backward function
        inputs: their numbers, counting tensors only
    """
    asking = [number for number in inputs if ctx.needs_input_grad[number]]
    if not asking or torch.compiler.is_compiling():
        return bool(asking)
    try:
        nodes = [ctx.next_functions[number][0] for number in asking]
        return any(node is not None and torch._C._will_engine_execute_node(node) for node in nodes)
    except (AttributeError, RuntimeError):  # PyTorch does not say for a leaf that grad() was called with
        return True
