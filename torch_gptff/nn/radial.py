"""Radial bases."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class BesselBasis(nn.Module):
    r"""Spherical Bessel functions of order zero, each vanishing at the cutoff.

    .. math::
        \phi_n(r) = \sqrt{2/c}\; \frac{\sin(n \pi r / c)}{r}, \qquad n = 1 \dots N

    from `Directional Message Passing for Molecular Graphs <https://arxiv.org/abs/2003.03123>`_ (eq. 7). The published
    GPTFF code counts from ``n = 0``, a function that is zero everywhere; it is left out here.

    Args:
        num_radial: how many functions, ``N``
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
