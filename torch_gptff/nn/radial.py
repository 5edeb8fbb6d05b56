"""Radial functions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from torch_gptff.nn.envelope import make_envelope


class BesselBasis(nn.Module):
    r"""Spherical Bessel functions of order zero, each vanishing at the cutoff.

    .. math::
        \phi_n(r) = \sqrt{2/c}\; \frac{\sin(n \pi r / c)}{r}, \qquad n = 1 \dots N

    from `Directional Message Passing for Molecular Graphs <https://arxiv.org/abs/2003.03123>`_ (eq. 7). The published
    GPTFF code counts from ``n = 0``, a function that is zero everywhere; it is left out here.

    Args:
        num_radial: number of functions, ``N``
        cutoff: ``c`` in Å
    """

    def __init__(self, num_radial: int, cutoff: float) -> None:
        super().__init__()
        self.num_radial = num_radial
        self.cutoff = cutoff

    def forward(self, r: Tensor) -> Tensor:
        """Distances in Å, ``[...]``, to functions, ``[..., num_radial]``."""
        n = torch.arange(1, self.num_radial + 1, dtype=r.dtype, device=r.device)
        r = r.unsqueeze(-1)
        return math.sqrt(2 / self.cutoff) * torch.sin(n * (math.pi / self.cutoff) * r) / r

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_radial={self.num_radial}, cutoff={self.cutoff})"


class RadialFeatures(nn.Module):
    r"""Features of a bond's length: Bessel functions times an envelope, and the envelope itself.

    .. math::
        [\phi_1(r)\, u(r) ‖ \dots ‖ \phi_N(r)\, u(r) ‖ u(r)]

    A linear map of these without a bias is a linear map of the functions with one, under the envelope, so that all of
    it vanishes at the cutoff. Without an envelope the last feature is 1 and its weights are the bias.

    Args:
        num_radial: number of Bessel functions, ``N``
        cutoff: Å
        envelope_exponent: exponent of the :class:`~torch_gptff.nn.PolynomialEnvelope`; ``None`` for no envelope
    """

    def __init__(self, num_radial: int, cutoff: float, envelope_exponent: int | None) -> None:
        super().__init__()
        self.num_features = num_radial + 1
        self.basis = BesselBasis(num_radial, cutoff)
        self.envelope = make_envelope(envelope_exponent, cutoff)

    def forward(self, r: Tensor) -> Tensor:
        """Distances in Å, ``[E]``, to features, ``[E, num_radial + 1]``, the last of which is the envelope."""
        envelope = self.envelope(r).unsqueeze(-1)
        return torch.cat([self.basis(r) * envelope, envelope], dim=-1)
