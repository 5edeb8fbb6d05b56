"""Radial functions as a table that a spline joins: a network of the distance, evaluated at knots and not for bonds."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torch_gptff.nn.envelope import make_envelope
from torch_gptff.ops.geometric_attention import Radial


class RadialTable(nn.Module):
    r"""Learned functions of a distance, for :class:`~torch_gptff.nn.GeometricAttention`.

    A network of the distance gives the coefficients of every function at equidistant knots, and a cubic B-spline joins
    them, so that a bond costs four multiplications a function, in training as in use, however large the network is:

    .. math::
        R(r) = \sum_k B_k(r)\, u(r_k)\, W_2\, \mathrm{swish}\left( W_1\, \phi(r_k) \right), \qquad
        \phi_n(r) = \sqrt 2 \sin(n \pi r / c), \quad n = 1 \dots N

    Value, slope and curvature are continuous, and zero from the cutoff on. Some functions have no envelope :math:`u`:
    those of scores, which weigh what has one. They end at the cutoff with what they weigh.

    Args:
        functions: with an envelope
        free: functions without, which come first
        biases: functions without, which come last, before the envelope itself
        cutoff: ``c`` in Å
        envelope_exponent: of the :class:`~torch_gptff.nn.PolynomialEnvelope`
        hidden_channels: of the network
        num_radial: ``N``
        per_angstrom: knots in an Å
        scale: of the functions with an envelope
    """

    def __init__(
        self, free: int, functions: int, biases: int, padding: int, cutoff: float, envelope_exponent: int, hidden_channels: int = 64,
        num_radial: int = 16, per_angstrom: int = 8, scale: float = 0.25,
    ) -> None:
        super().__init__()
        self.free, self.functions, self.biases, self.padding = free, functions, biases, padding
        self.cutoff, self.num_radial, self.scale = cutoff, num_radial, scale
        self.bins = math.ceil(cutoff * per_angstrom)
        self.per_angstrom = self.bins / cutoff
        self.envelope = make_envelope(envelope_exponent, cutoff)
        self.lin_hidden = nn.Linear(num_radial, hidden_channels)
        self.lin_out = nn.Linear(hidden_channels, free + functions + biases)

    def reset_parameters(self) -> None:
        self.lin_hidden.reset_parameters()
        self.lin_out.reset_parameters()
        nn.init.normal_(self.lin_out.weight, std=self.lin_out.in_features**-0.5 * 1.5)

    def forward(self) -> Radial:
        weight = self.lin_hidden.weight
        # A spline's coefficient k belongs to the place k - 1 bins: B_k is centred there.
        r = (torch.arange(self.bins + 3, dtype=weight.dtype, device=weight.device) - 1) / self.per_angstrom
        n = torch.arange(1, self.num_radial + 1, dtype=weight.dtype, device=weight.device)
        basis = math.sqrt(2) * torch.sin(n * (math.pi / self.cutoff) * r.unsqueeze(-1))
        values = self.lin_out(F.silu(self.lin_hidden(basis)))
        u = self.envelope(r.clamp(min=0)).unsqueeze(-1)
        free, functions, biases = values.split([self.free, self.functions, self.biases], dim=1)
        filling = values.new_zeros(len(r), self.padding)
        return Radial(torch.cat([free, functions * (u * self.scale), biases, u, filling], dim=1), self.per_angstrom)
