r"""Lengths and real spherical harmonics of bond vectors as an operator.

.. math::
    r = |\vec r|, \qquad Y_{lm}(\vec r / r), \quad l = 1 \dots L

normalised so that :math:`\sum_m Y_{lm}^2 = 2 l + 1`: for a random direction every component has a mean square of 1. The
gradient by the vector is that by the direction, less its part along the bond, over the length.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from torch_gptff.ops import operator
from torch_gptff.ops.harmonics import closed_forms
from torch_gptff.ops.native import geometric
from torch_gptff.ops.native.kernel import Group
from torch_gptff.ops.native.operators import NativeKernels


def bond_harmonics(vectors: Tensor, degree: int) -> tuple[Tensor, Tensor]:
    """Lengths of ``vectors [E, 3]`` in Å, ``[E]``, and harmonics of degree 1 to ``L``, ``[E, (L + 1)² − 1]``.

    Differentiable as often as wanted.
    """
    lengths, harmonics = operator.apply(_KERNELS, [vectors], degree)
    return lengths, harmonics


class _Sizes(ctypes.Structure):
    _fields_ = [("bonds", ctypes.c_int64)]


class _Kernels(NativeKernels):
    def is_available(self, x: Sequence[Tensor], degree: int) -> bool:
        return x[0].device.type == "cpu" and geometric.is_available(x[0].dtype, degree)

    def plain(self, x: Sequence[Tensor], degree: int) -> tuple[Tensor, ...]:
        lengths = x[0].norm(dim=-1)
        values = closed_forms(x[0] / lengths.unsqueeze(-1))
        # Numbers, not a tensor of them: one that comes from the CPU cannot be part of a CUDA graph.
        scaled = [(2 * l + 1) ** 0.5 * values[..., l * l : (l + 1) ** 2] for l in range(1, degree + 1)]
        return lengths, torch.cat([values[..., :0], *scaled], dim=-1)

    def results(self, x: Sequence[Tensor], degree: int, keep: bool) -> tuple[list[Tensor], None]:
        n = len(x[0])
        return [x[0].new_empty(n), x[0].new_empty(n, (degree + 1) ** 2 - 1)], None

    def gradients(self, x: Sequence[Tensor], degree: int, with_parameters: bool) -> list[Tensor | None]:
        return [torch.empty_like(x[0])]

    def call(self, kernel: str, x: Sequence[Tensor], degree: int, *others: Group) -> None:
        geometric.call(f"bond_harmonics_{kernel}", degree, _Sizes(len(x[0])), x, *others)


_KERNELS = _Kernels()
