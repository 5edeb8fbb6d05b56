r"""Invariants and products of each atom's own features as an operator.

Features :math:`V^l` of degree :math:`l = 1 \dots L`, with :math:`2 l + 1` components of :math:`c` channels each, give

.. math::
    U^l &= V^l / \sqrt{1 + \langle V^2 \rangle} \\
    Z^{l_3}_{m_3} &= \sum_{l_1 \le l_2} w_{l_1 l_2 l_3} \odot \sum_{m_1 m_2} G^{l_1 l_2 l_3}_{m_1 m_2 m_3}\,
        U^{l_1}_{m_1} \odot U^{l_2}_{m_2} \\
    n^l &= \sum_m U^l_m \odot U^l_m, \qquad n'^{\,l} = \sum_m U^l_m \odot Z^l_m

with the mean over all components and channels of the atom, and Gaunt coefficients :math:`G` (NIST DLMF 34.3.22) of
real harmonics, scaled so that :math:`\sum_{m_1 m_2} G^2 = 1`. Only products with :math:`l_1 + l_2 + l_3` even are
there: they keep the parity :math:`(-1)^l`, so that energies do not change under reflection. :math:`n` knows pairs of
neighbours, :math:`n'` knows three at once.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from torch_gptff.ops import operator
from torch_gptff.ops.harmonics import closed_forms
from torch_gptff.ops.native import geometric
from torch_gptff.ops.native.kernel import Group
from torch_gptff.ops.native.operators import NativeKernels
from torch_gptff.ops.transforms import outside_transforms
from torch_gptff.ops.triton import geometric as gpu


class Term(NamedTuple):
    """``coefficient · U[first] U[second]``, which enters ``Z[third]`` with the weight of a path.

    Components are counted from the first of degree 1.
    """

    first: int
    second: int
    third: int
    path: int
    coefficient: float


def tensor_product(features: Sequence[Tensor], weight: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Invariants and products of features.

    Args:
        features: features of degree 1 to ``L``, ``[N, 2 l + 1, c]`` each
        weight: weights of every path, ``[P, c]``, see :func:`paths`

    Returns:
        the invariants ``n`` and then ``n'``, ``[N, 2 L, c]``, and ``Z`` of every degree, as ``features``
    """
    kernels = operator.of_device(weight.device, cpu=_KERNELS, cuda=_GPU_KERNELS)
    out = operator.apply(kernels, [value.to(weight.dtype) for value in (*features, weight)], None)
    return out[0], list(out[1:])


def paths(degree: int) -> list[tuple[int, int, int]]:
    """The products ``(l₁, l₂, l₃)`` of degrees up to ``degree`` that keep parity, ``1 ≤ l₁ ≤ l₂``, ``l₃ ≥ 1``."""
    degrees = range(1, degree + 1)
    return [
        (a, b, c)
        for a in degrees
        for b in degrees
        for c in degrees
        if a <= b and b - a <= c <= a + b and (a + b + c) % 2 == 0
    ]


@cache
def terms(degree: int) -> tuple[Term, ...]:
    """All products of components with a coefficient, equal pairs drawn together."""
    found: list[Term] = []
    for path, (a, b, c) in enumerate(paths(degree)):
        coefficients = gaunt(a, b, c)
        for i, j, k in np.argwhere(abs(coefficients) > 1e-12).tolist():
            if a == b and i > j:
                continue
            factor = 2 if a == b and i < j else 1
            first, second, third = a * a - 1 + i, b * b - 1 + j, c * c - 1 + k
            found.append(Term(first, second, third, path, factor * float(coefficients[i, j, k])))
    return tuple(found)


@cache
def gaunt(a: int, b: int, c: int) -> Any:
    """``G`` of three degrees, ``[2 a + 1, 2 b + 1, 2 c + 1]``: integrals of products of three harmonics, normalised."""
    x, weight = np.polynomial.legendre.leggauss(8)  # exact for the degree of a product, at most 9
    phi = np.arange(16) * (2 * np.pi / 16)
    sine = np.sqrt(1 - x**2)[:, None]
    points = np.stack([sine * np.cos(phi), sine * np.sin(phi), x[:, None] + 0 * phi], axis=-1).reshape(-1, 3)
    with outside_transforms():
        harmonics = closed_forms(torch.from_numpy(points)).numpy()
    of_degree = [harmonics[:, l * l : (l + 1) ** 2] for l in (a, b, c)]
    integral = np.einsum("p,pi,pj,pk->ijk", np.repeat(weight, 16), *of_degree)
    return integral * np.sqrt((2 * c + 1) / (integral**2).sum())


class _Sizes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("channels", "atoms", "paths", "terms")] + [
        ("list", ctypes.c_void_p)
    ]


class _Term(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in Term._fields[:4]] + [("coefficient", ctypes.c_double)]


@cache
def term_list(degree: int) -> Any:
    """:func:`terms` as kernels take them."""
    return (_Term * len(terms(degree)))(*(_Term(*term) for term in terms(degree)))


class _Kernels(NativeKernels):
    n_parameters = 1

    def is_available(self, x: Sequence[Tensor], _: None) -> bool:
        weight = x[-1]
        has_kernels = weight.device.type == "cpu" and weight.size(1) % 16 == 0
        return has_kernels and geometric.is_available(weight.dtype, len(x) - 1)

    def plain(self, x: Sequence[Tensor], _: None) -> tuple[Tensor, ...]:
        *features, weight = x
        degree = len(features)
        v = torch.cat(list(features), dim=1)  # [N, M, c]
        u = v * (1 + v.square().mean(dim=(1, 2), keepdim=True)).rsqrt()
        sizes = [2 * l + 1 for l in range(1, degree + 1)]
        of_degree = u.split(sizes, dim=1)
        z = [0 * each for each in of_degree]
        for path, (a, b, c) in enumerate(paths(degree)):
            coefficients = torch.from_numpy(gaunt(a, b, c)).to(u)
            z[c - 1] = z[c - 1] + weight[path] * torch.einsum(
                "ijk,nic,njc->nkc", coefficients, of_degree[a - 1], of_degree[b - 1]
            )
        two = [each.square().sum(dim=1) for each in of_degree]
        three = [(each * product).sum(dim=1) for each, product in zip(of_degree, z, strict=True)]
        return torch.stack([*two, *three], dim=1), *z

    def results(self, x: Sequence[Tensor], _: None, keep: bool) -> tuple[list[Tensor], None]:
        *features, weight = x
        invariants = weight.new_empty(len(features[0]), 2 * len(features), weight.size(1))
        return [invariants, *map(torch.empty_like, features)], None

    def gradients(self, x: Sequence[Tensor], _: None, with_parameters: bool) -> list[Tensor | None]:
        return [*map(torch.empty_like, x[:-1]), torch.zeros_like(x[-1]) if with_parameters else None]

    def call(self, kernel: str, x: Sequence[Tensor], _: None, *others: Group) -> None:
        degree, (n_paths, channels) = len(x) - 1, x[-1].shape
        entries = term_list(degree)
        sizes = _Sizes(channels, len(x[0]), n_paths, len(entries), ctypes.addressof(entries))
        geometric.call(f"tensor_product_{kernel}", degree, sizes, x, *others)


class _GPUKernels(_Kernels):
    def is_available(self, x: Sequence[Tensor], _: None) -> bool:
        weight = x[-1]
        return gpu.is_available(weight.dtype, weight.size(1))

    def call(self, kernel: str, x: Sequence[Tensor], _: None, *others: Group) -> None:
        gpu.tensor_product(kernel, x, terms(len(x) - 1), *others)


_KERNELS, _GPU_KERNELS = _Kernels(), _GPUKernels()
