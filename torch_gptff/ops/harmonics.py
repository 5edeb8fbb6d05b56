"""Real spherical harmonics up to degree 3."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from math import sqrt

import torch
from torch import Tensor

MAX_DEGREE = 3


def spherical_harmonics(direction: Tensor, degree: int) -> Tensor:
    r"""Real spherical harmonics of all degrees up to one, scaled so that the addition theorem has no factor.

    .. math::
        \sum_{m=-l}^{l} Y_{lm}(a)\, Y_{lm}(b) = P_l(a \cdot b)

    e3nn's where it is installed (``normalization="norm"``), and the same polynomials otherwise; the order of ``m``
    within a degree is no part of the promise.

    Args:
        direction: unit vectors, ``[..., 3]``
        degree: the highest ``l``, at most 3

    Returns:
        ``[..., (degree + 1)²]``, degree by degree
    """
    if _has_e3nn():
        from e3nn.o3 import spherical_harmonics as from_e3nn

        return from_e3nn(list(range(degree + 1)), direction, normalize=False, normalization="norm")
    return closed_forms(direction)[..., : (degree + 1) ** 2]


def closed_forms(direction: Tensor) -> Tensor:
    """The polynomials of degree 0 to 3 (NIST DLMF 14.30), ``[..., 3]`` to ``[..., 16]``."""
    x, y, z = direction.unbind(dim=-1)
    values = [
        torch.ones_like(x),
        *(x, y, z),
        *(sqrt(3) * x * y, sqrt(3) * y * z, (3 * z**2 - 1) / 2, sqrt(3) * z * x, sqrt(3) / 2 * (x**2 - y**2)),
        sqrt(5 / 8) * y * (3 * x**2 - y**2),
        sqrt(15) * x * y * z,
        sqrt(3 / 8) * y * (5 * z**2 - 1),
        (5 * z**3 - 3 * z) / 2,
        sqrt(3 / 8) * x * (5 * z**2 - 1),
        sqrt(15) / 2 * z * (x**2 - y**2),
        sqrt(5 / 8) * x * (x**2 - 3 * y**2),
    ]
    return torch.stack(values, dim=-1)


@cache
def _has_e3nn() -> bool:
    return find_spec("e3nn") is not None
