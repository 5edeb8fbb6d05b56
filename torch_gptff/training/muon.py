"""Muon, an optimizer whose steps turn every direction of a weight matrix by the same amount."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

ORTHOGONAL_STEPS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic Newton–Schulz iteration: steepest at 0, so that small singular values grow fast, with
results between 0.7 and 1.2."""


class Muon(torch.optim.AdamW):
    r"""Muon for weight matrices, and AdamW for everything else.

    The momentum :math:`B` of a matrix :math:`W` of :math:`m \times n` is replaced by the orthogonal matrix next to it:

    .. math::
        B &\leftarrow \mu B + (1 - \mu) G \\
        W &\leftarrow (1 - \eta\lambda) W - 0.2\, \eta \sqrt{\max(m, n)}\; \mathrm{orthogonal}(\mu B + (1 - \mu) G)

    from `Muon: An optimizer for hidden layers in neural networks <https://kellerjordan.github.io/posts/muon>`_, with
    the factor of `Muon is Scalable for LLM Training <https://arxiv.org/abs/2502.16982>`_: it makes the mean square step
    of an entry that of AdamW, so that both go by one learning rate.

    Args:
        groups: parameters as :class:`torch.optim.AdamW` takes them; those of a group with ``"matrices": True`` are
            matrices, see :func:`matrices_apart`
        weight_decay: :math:`\lambda`, decoupled
        momentum: :math:`\mu`, of matrices
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], lr: float = 1e-3, weight_decay: float = 1e-2, momentum: float = 0.95
    ) -> None:
        super().__init__(groups, lr=lr, weight_decay=weight_decay)
        self.defaults |= {"matrices": False, "momentum": momentum}
        for group in self.param_groups:
            group.setdefault("matrices", False)
            group.setdefault("momentum", momentum)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        matrices = [p for group in self.param_groups if group["matrices"] for p in group["params"]]
        gradients = [p.grad for p in matrices]
        for group in self.param_groups:
            if group["matrices"]:
                self._step_matrices(group)
        for p in matrices:
            p.grad = None  # AdamW passes over what has no gradient
        super().step()
        for p, gradient in zip(matrices, gradients, strict=True):
            p.grad = gradient
        return loss

    def _step_matrices(self, group: dict[str, Any]) -> None:
        momentum, rate = group["momentum"], group["lr"]
        by_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state.update(step=torch.zeros(()), momentum=torch.zeros_like(p))  # AdamW wants every step counted
            state["step"] += 1
            average = state["momentum"].lerp_(p.grad, 1 - momentum)
            by_shape[p.shape].append((p, p.grad.lerp(average, momentum)))
        for shape, pairs in by_shape.items():
            steps = orthogonal(torch.stack([direction for _, direction in pairs])) * 0.2 * max(shape) ** 0.5
            for (p, _), step in zip(pairs, steps, strict=True):
                p.mul_(1 - rate * group["weight_decay"]).sub_(step, alpha=rate)


def orthogonal(x: Tensor) -> Tensor:
    """The orthogonal factor ``U Vᵀ`` of matrices ``U S Vᵀ``, roughly: singular values come out between 0.7 and 1.2.

    Products are in bfloat16 where :func:`multiplies_bfloat16`, as in the optimizer's publication.

    Args:
        x: matrices, ``[..., m, n]``; of zeros alone, the result is zero
    """
    if x.size(-2) > x.size(-1):
        return orthogonal(x.mT).mT
    a, b, c = COEFFICIENTS
    dtype = x.dtype
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-12)
    if dtype == torch.float32 and multiplies_bfloat16(x.device):
        x = x.bfloat16()
    for _ in range(ORTHOGONAL_STEPS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.to(dtype)


@cache
def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for products of bfloat16, which are several times faster than float32's."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    has_instructions = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return device.type == "cpu" and has_instructions()


def matrices_apart(module: nn.Module, groups: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Groups of parameters, those that are matrices in groups of their own.

    A matrix is a two-dimensional ``weight`` with more than one row and column, but for the rows of an embedding, which
    belong to elements and not to a map.
    """
    matrices = {
        id(p)
        for part in module.modules()
        if not isinstance(part, nn.Embedding)
        for name, p in part.named_parameters(recurse=False)
        if name == "weight" and p.ndim == 2 and min(p.shape) > 1
    }
    return [
        {**group, "params": [p for p in group["params"] if (id(p) in matrices) is apart], "matrices": apart}
        for group in groups
        for apart in (True, False)
    ]
