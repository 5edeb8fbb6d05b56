r"""Lengths and real spherical harmonics of bond vectors as an operator.

.. math::
    r = |\vec r|, \qquad Y_{lm}(\vec r / r), \quad l = 1 \dots L

normalised so that :math:`\sum_m Y_{lm}^2 = 2 l + 1`: for a random direction every component has a mean square of 1. The
gradient by the vector is that by the direction, less its part along the bond, over the length.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from torch_gptff.ops import operator
from torch_gptff.ops.harmonics import closed_forms
from torch_gptff.ops.native import geometric


def bond_harmonics(vectors: Tensor, degree: int) -> tuple[Tensor, Tensor]:
    """Lengths of ``vectors [E, 3]`` in Å, ``[E]``, and harmonics of degree 1 to ``L``, ``[E, (L + 1)² − 1]``.

    Differentiable as often as wanted.
    """
    kernels = operator.choose([vectors], [degree], cpu=_KERNELS)
    lengths, harmonics = (
        operator.apply(kernels, [vectors.contiguous()], degree) if kernels else _KERNELS.plain([vectors], degree)
    )
    return lengths, harmonics


class _Sizes(ctypes.Structure):
    _fields_ = [("bonds", ctypes.c_int64)]


class _Kernels:
    n_parameters = 0

    def can_take(self, dtype: torch.dtype, *sizes: int) -> bool:
        return geometric.is_available(dtype, *sizes)

    def plain(self, x: Sequence[Tensor], degree: int) -> tuple[Tensor, ...]:
        lengths = x[0].norm(dim=-1)
        values = closed_forms(x[0] / lengths.unsqueeze(-1))[..., 1 : (degree + 1) ** 2]
        scale = [(2 * l + 1) ** 0.5 for l in range(1, degree + 1) for _ in range(2 * l + 1)]
        return lengths, values * values.new_tensor(scale)

    def forward(self, x: Sequence[Tensor], degree: int) -> list[Tensor]:
        out = _results(x[0], degree)
        self._call("forward", degree, x, [None], out)
        return out

    def backward(self, dout: Sequence[Tensor], x: Sequence[Tensor], degree: int, _: bool) -> list[Tensor | None]:
        d = torch.empty_like(x[0])
        self._call("backward", degree, x, dout, [d])
        return [d]

    def double_backward(
        self, t: Sequence[Tensor], dout: Sequence[Tensor], x: Sequence[Tensor], degree: int, _: bool
    ) -> tuple[list[Tensor], list[Tensor | None]]:
        ddout, d = _results(x[0], degree), torch.empty_like(x[0])
        self._call("double_backward", degree, x, t, dout, ddout, [d])
        return ddout, [d]

    def _call(self, name: str, degree: int, x: Sequence[Tensor], *others: Any) -> None:
        geometric.call(f"bond_harmonics_{name}", degree, _Sizes(len(x[0])), x, *others)


def _results(vectors: Tensor, degree: int) -> list[Tensor]:
    return [vectors.new_empty(len(vectors)), vectors.new_empty(len(vectors), (degree + 1) ** 2 - 1)]


_KERNELS = _Kernels()
