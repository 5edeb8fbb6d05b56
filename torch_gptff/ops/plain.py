"""Second derivatives of an operator from its plain formula, for what its kernels leave out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def differentiate_twice(
    plain: Callable[..., Tensor], t: Sequence[Tensor | None], dout: Tensor, x: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """The gradients of ``Φ = Σ t · backward(dout, x)`` by ``dout`` and by every input, through autograd.

    Args:
        plain: the formula, in operations that autograd differentiates
        t: tangents of the inputs; ``None`` for zero, and not for all of them
        dout: gradient by the result
        x: the inputs
    """
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad(), torch.autocast(dout.device.type, enabled=False):
        # Views, so that a gradient ends here also where one input was computed from another, or is the same.
        dout, *x = (value.view_as(value).requires_grad_() for value in (dout, *x))
        gradients = torch.autograd.grad(plain(*x), x, dout, create_graph=True)
        moving = [(gradient, tangent) for gradient, tangent in zip(gradients, t, strict=True) if tangent is not None]
        ddout, *d = torch.autograd.grad(
            [gradient for gradient, _ in moving],
            [dout, *x],
            [tangent for _, tangent in moving],
            create_graph=differentiable,
            materialize_grads=True,
        )
    return ddout, d
