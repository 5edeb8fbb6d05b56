"""The angle sum and its derivatives in plain tensor operations, a chunk of angles at a time.

Every function recomputes what it needs of the forward pass, so that nothing per angle outlives its chunk. With
``z = p_i + q_j``, ``h = swish(z)``, ``[v ‖ g] = W h + b``, ``c = w_a cos θ + b_a`` and ``κ`` the scale of the cosine:

=================  ====================================================
here               in the formulas of :func:`torch_gptff.ops.angle_sum`
=================  ====================================================
``first, second``  the bonds ``i`` and ``j`` of an angle
``v, g``           the two halves of ``W h + b``
``message``        ``m = swish(v) ⊙ σ(g) ⊙ k_j ⊙ c``
``dx``             the gradient of the loss by ``x``
``tx``             the tangent of ``x``: what it changes by
=================  ====================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from torch_gptff.graph.geometry import COSINE_SCALE

CHUNK = 1 << 14
"""Number of angles that are computed at once."""


class Inputs(NamedTuple):
    """Inputs of the angle sum, or their gradients or tangents.

    Attributes:
        p: ``[S, d]``
        q: ``[S, d]``
        k: ``[S, d]``
        direction: unit vectors of the bonds, ``[S, 3]``
        weight: ``[2 d, d]``
        bias: ``[2 d]``
        angle_weight: ``[d]``
        angle_bias: ``[d]``
    """

    p: Tensor
    q: Tensor
    k: Tensor
    direction: Tensor
    weight: Tensor
    bias: Tensor
    angle_weight: Tensor
    angle_bias: Tensor


class Chunk:
    """The forward pass of some angles, with all that its derivatives need."""

    def __init__(self, x: Inputs, first: Tensor, second: Tensor) -> None:
        self.first, self.second = first, second
        self.u_first, self.u_second = x.direction[first], x.direction[second]
        self.k = x.k[second]
        self.z = x.p[first] + x.q[second]
        self.sigma_z = self.z.sigmoid()
        self.h = self.z * self.sigma_z
        self.v, g = F.linear(self.h, x.weight, x.bias).chunk(2, dim=-1)
        self.sigma_v, self.sigma_g = self.v.sigmoid(), g.sigmoid()
        self.s = self.v * self.sigma_v
        self.cosine = (self.u_first * self.u_second).sum(dim=-1, keepdim=True) * COSINE_SCALE
        self.c = self.cosine * x.angle_weight + x.angle_bias
        # First derivatives of swish at z and v, and of σ at g.
        self.slope_z = self.sigma_z + self.h * (1 - self.sigma_z)
        self.slope_v = self.sigma_v + self.s * (1 - self.sigma_v)
        self.slope_g = self.sigma_g * (1 - self.sigma_g)

    @property
    def message(self) -> Tensor:
        return self.s * self.sigma_g * self.k * self.c


def chunks(x: Inputs, angle_index: Tensor) -> Iterator[Chunk]:
    for some in angle_index.split(CHUNK, dim=1):
        yield Chunk(x, some[0], some[1])


def forward(x: Inputs, angle_index: Tensor) -> Tensor:
    """``Σ_j m_ij``, ``[S, d]``."""
    total = torch.zeros_like(x.p)
    for a in chunks(x, angle_index):
        total.index_add_(0, a.first, a.message)
    return total


def at_once(x: Inputs, angle_index: Tensor) -> Tensor:
    """The result of :func:`forward`, in operations that autograd differentiates any number of times."""
    a = Chunk(x, angle_index[0], angle_index[1])
    return torch.zeros_like(x.p).index_add(0, a.first, a.message)


def backward(dout: Tensor, x: Inputs, angle_index: Tensor, with_parameters: bool) -> Inputs:
    """The gradients of ``Σ dout ⊙ out`` by every input; zero by the parameters unless ``with_parameters``."""
    d = Inputs(*(torch.zeros_like(value) for value in x))
    for a in chunks(x, angle_index):
        dm = dout[a.first]
        dmk = dm * a.k
        core = a.s * a.sigma_g
        d.k.index_add_(0, a.second, dm * core * a.c)
        dc = dmk * core
        dmkc = dmk * a.c
        dy = torch.cat([dmkc * a.sigma_g * a.slope_v, dmkc * a.s * a.slope_g], dim=-1)
        dz = (dy @ x.weight) * a.slope_z
        d.p.index_add_(0, a.first, dz)
        d.q.index_add_(0, a.second, dz)
        dcosine = (dc @ x.angle_weight).unsqueeze(-1) * COSINE_SCALE
        d.direction.index_add_(0, a.first, dcosine * a.u_second)
        d.direction.index_add_(0, a.second, dcosine * a.u_first)
        if with_parameters:
            d.weight.addmm_(dy.T, a.h)
            d.bias.add_(dy.sum(dim=0))
            d.angle_weight.add_((dc * a.cosine).sum(dim=0))
            d.angle_bias.add_(dc.sum(dim=0))
    return d


def double_backward(t: Inputs, dout: Tensor, x: Inputs, angle_index: Tensor) -> tuple[Tensor, Inputs]:
    r"""The gradients of :math:`\Phi = \sum t \cdot \mathrm{backward}(dout, x)` by ``dout`` and by every input.

    :math:`\Phi = \sum dout \odot \dot m` with the tangent :math:`\dot m` of the message for the tangents ``t`` of the
    inputs, so this is the reverse pass of the tangent's forward pass.
    """
    ddout = torch.zeros_like(dout)
    d = Inputs(*(torch.zeros_like(value) for value in x))
    for a in chunks(x, angle_index):
        # Tangents, forward.
        tz = t.p[a.first] + t.q[a.second]
        tk = t.k[a.second]
        tu_first, tu_second = t.direction[a.first], t.direction[a.second]
        th = a.slope_z * tz
        tv, tg = (F.linear(th, x.weight) + F.linear(a.h, t.weight, t.bias)).chunk(2, dim=-1)
        ts, tsigma = a.slope_v * tv, a.slope_g * tg
        tcosine = (tu_first * a.u_second + a.u_first * tu_second).sum(dim=-1, keepdim=True) * COSINE_SCALE
        tc = tcosine * x.angle_weight + a.cosine * t.angle_weight + t.angle_bias
        kc, tkc = a.k * a.c, tk * a.c + a.k * tc
        core, tcore = a.s * a.sigma_g, ts * a.sigma_g + a.s * tsigma
        ddout.index_add_(0, a.first, tcore * kc + core * tkc)

        # Gradients, backward: by a value x (dx), and by its tangent (dtx).
        dm = dout[a.first]
        d.k.index_add_(0, a.second, dm * (tcore * a.c + core * tc))
        dc, dtc = dm * (tcore * a.k + core * tk), dm * core * a.k
        dcore, dtcore = dm * tkc, dm * kc
        ds, dts = dcore * a.sigma_g + dtcore * tsigma, dtcore * a.sigma_g
        dsigma, dtsigma = dcore * a.s + dtcore * ts, dtcore * a.s
        curve_v = a.sigma_v * (1 - a.sigma_v) * (2 + a.v * (1 - 2 * a.sigma_v))  # swish''
        curve_g = a.slope_g * (1 - 2 * a.sigma_g)  # σ''
        dy = torch.cat([ds * a.slope_v + dts * curve_v * tv, dsigma * a.slope_g + dtsigma * curve_g * tg], dim=-1)
        dty = torch.cat([dts * a.slope_v, dtsigma * a.slope_g], dim=-1)
        dh, dth = dy @ x.weight + dty @ t.weight, dty @ x.weight
        curve_z = a.sigma_z * (1 - a.sigma_z) * (2 + a.z * (1 - 2 * a.sigma_z))
        dz = dh * a.slope_z + dth * curve_z * tz
        d.p.index_add_(0, a.first, dz)
        d.q.index_add_(0, a.second, dz)
        dcosine = (dc @ x.angle_weight + dtc @ t.angle_weight).unsqueeze(-1) * COSINE_SCALE
        dtcosine = (dtc @ x.angle_weight).unsqueeze(-1) * COSINE_SCALE
        d.direction.index_add_(0, a.first, dcosine * a.u_second + dtcosine * tu_second)
        d.direction.index_add_(0, a.second, dcosine * a.u_first + dtcosine * tu_first)
        d.weight.addmm_(dy.T, a.h).addmm_(dty.T, th)
        d.bias.add_(dy.sum(dim=0))
        d.angle_weight.add_((dc * a.cosine + dtc * tcosine).sum(dim=0))
        d.angle_bias.add_(dc.sum(dim=0))
    return ddout, d
