"""Envelopes: functions that are 1 at the atom and smoothly 0 at the cutoff."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PolynomialEnvelope(nn.Module):
    r"""A polynomial that goes from 1 at :math:`r = 0` to 0 at the cutoff :math:`c`, with its first two derivatives.

    .. math::
        u(x) = 1 - \tfrac{(p+1)(p+2)}{2} x^p + p(p+2)\, x^{p+1} - \tfrac{p(p+1)}{2} x^{p+2}, \qquad x = r/c

    from `Directional Message Passing for Molecular Graphs <https://arxiv.org/abs/2003.03123>`_ (eq. 8). Energy, forces
    and stress of a model whose messages carry it are continuous as a neighbour comes and goes.

    Args:
        exponent: ``p >= 2``; the larger, the later the fall
        cutoff: ``c`` in Å
    """

    def __init__(self, exponent: int, cutoff: float) -> None:
        super().__init__()
        self.exponent = exponent
        self.cutoff = cutoff

    def forward(self, r: Tensor) -> Tensor:
        """Distances in Å to weights in ``[0, 1]``, of one shape; 0 beyond the cutoff."""
        return polynomial_envelope(r / self.cutoff, self.exponent)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(exponent={self.exponent}, cutoff={self.cutoff})"


def polynomial_envelope(x: Tensor, exponent: int) -> Tensor:
    """``u(x)`` of :class:`PolynomialEnvelope`, for ``x >= 0``; 0 beyond 1.

    As ``(1 − x)³ Σ_k (k + 1)(k + 2)/2 x^k`` with ``k < p``, which is the same, and neither loses digits near 1 nor
    falls below 0 there.
    """
    x = x.clamp(max=1)
    series = torch.full_like(x, exponent * (exponent + 1) / 2)
    for k in range(exponent - 2, -1, -1):
        series = series * x + (k + 1) * (k + 2) / 2
    return (1 - x) ** 3 * series


class NoEnvelope(nn.Module):
    """A weight of 1 at every distance, as in the published checkpoints, whose energies jump at the cutoff."""

    def forward(self, r: Tensor) -> Tensor:
        return torch.ones_like(r)


def make_envelope(exponent: int | None, cutoff: float) -> nn.Module:
    """A :class:`PolynomialEnvelope`, or :class:`NoEnvelope` for ``exponent=None``."""
    return NoEnvelope() if exponent is None else PolynomialEnvelope(exponent, cutoff)
