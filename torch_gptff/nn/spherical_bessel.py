"""A basis of functions of a distance and an angle."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.nn.models.dimenet_utils import Jn, Jn_zeros

from torch_gptff.nn.envelope import PolynomialEnvelope


class SphericalBesselBasis(nn.Module):
    r"""Spherical Bessel functions of a distance times Legendre polynomials of an angle, under an envelope.

    .. math::
        a_{ln}(r, \theta) = \frac{u(x)}{x}\, \sqrt{\frac{2}{j_{l+1}(z_{ln})^2}}\; j_l(z_{ln} x)\,
        \sqrt{\frac{2l+1}{4\pi}}\, P_l(\cos\theta), \qquad x = r/c

    from `Directional Message Passing for Molecular Graphs <https://arxiv.org/abs/2003.03123>`_ (eq. 6), where
    :math:`z_{ln}` is the n-th root of :math:`j_l`. It has the values of PyG's ``SphericalBasisLayer``, whose roots it
    takes, but is computed by the recurrences of :math:`j_l` and :math:`P_l`: nothing is derived symbolically when the
    basis is made; the differences of large terms in :math:`j_l` are taken in float64; and as it takes the cosine, it
    can be differentiated for three atoms on a line, where the angle itself cannot.

    Args:
        num_spherical: number of orders, ``L`` (``l = 0 … L − 1``)
        num_radial: number of functions of each order, ``R``
        cutoff: ``c`` in Å
        envelope_exponent: exponent of the :class:`~torch_gptff.nn.PolynomialEnvelope`
    """

    def __init__(self, num_spherical: int, num_radial: int, cutoff: float, envelope_exponent: int) -> None:
        super().__init__()
        self.num_spherical = num_spherical
        self.num_radial = num_radial
        self.cutoff = cutoff
        self.envelope = PolynomialEnvelope(envelope_exponent, cutoff)
        roots = Jn_zeros(num_spherical, num_radial)
        self.roots = roots.tolist()
        self.norms = [np.sqrt(2 / Jn(row, order + 1) ** 2).tolist() for order, row in enumerate(roots)]

    def forward(self, r: Tensor, cosine: Tensor, bond: Tensor) -> Tensor:
        """Functions of every angle, ``[A, L · R]``.

        Args:
            r: distances in Å, ``[E]``
            cosine: cosines of the angles, ``[A]``
            bond: the bond whose length goes with each angle, ``[A]``
        """
        radial = self.radial(r).index_select(0, bond)
        return (radial * legendre(cosine, self.num_spherical).unsqueeze(-1)).flatten(1)

    def radial(self, r: Tensor) -> Tensor:
        """The factor that depends on the distance, ``[E, L, R]``."""
        x = (r.double() / self.cutoff).view(-1, 1, 1)
        bessel = spherical_bessel(x * x.new_tensor(self.roots)) * x.new_tensor(self.norms)
        return (bessel * self.envelope(x * self.cutoff) / x).to(r.dtype)

    def __repr__(self) -> str:
        sizes = f"num_spherical={self.num_spherical}, num_radial={self.num_radial}"
        return f"{type(self).__name__}({sizes}, cutoff={self.cutoff}, exponent={self.envelope.exponent})"


def spherical_bessel(z: Tensor) -> Tensor:
    r""":math:`j_l(z_{\dots l \cdot})`, ``[E, L, R]`` to the same: order ``l`` of what stands in row ``l``.

    By :math:`j_{l+1}(z) = \frac{2l+1}{z} j_l(z) - j_{l-1}(z)`. It loses digits where :math:`z` is small beside
    :math:`l`, the more the higher the order: give it float64.
    """
    low = z.sin() / z
    high = (low - z.cos()) / z
    orders = [low[:, 0]]
    for order in range(1, z.size(1)):
        z, low, high = z[:, 1:], low[:, 1:], high[:, 1:]
        orders.append(high[:, 0])
        low, high = high, (2 * order + 1) / z * high - low
    return torch.stack(orders, dim=1)


def legendre(cosine: Tensor, num_spherical: int) -> Tensor:
    r""":math:`\sqrt{(2l+1)/4\pi}\, P_l(\cos\theta)`, ``[A]`` to ``[A, num_spherical]``: harmonics of ``m = 0``."""
    orders = [torch.ones_like(cosine), cosine]
    for order in range(1, num_spherical - 1):
        orders.append(((2 * order + 1) * cosine * orders[order] - order * orders[order - 1]) / (order + 1))
    norms = [math.sqrt((2 * order + 1) / (4 * math.pi)) for order in range(num_spherical)]
    return torch.stack(orders[:num_spherical], dim=-1) * cosine.new_tensor(norms)
