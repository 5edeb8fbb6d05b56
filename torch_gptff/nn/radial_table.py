"""Radial functions as a table that a spline joins: a network of the distance, evaluated at knots and not for bonds."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from torch_gptff.nn.envelope import make_envelope
from torch_gptff.ops.geometric_attention import Radial, columns
from torch_gptff.ops.transforms import is_plain


class RadialTable(nn.Module):
    r"""The radial functions of one :class:`~torch_gptff.nn.GeometricAttention`.

    A network of the distance gives the coefficient of every function at equidistant knots, and a cubic B-spline joins
    them, so that a bond costs four multiplications a function, in training as in use, however large the network is:

    .. math::
        R(r) = \sum_k B_k(r)\, u(r_k)\, \left( W_2\, \mathrm{swish}(W_1 \phi(r_k) + b_1) + b_2 \right), \qquad
        \phi_n(r) = \sqrt 2 \sin(n \pi r / c), \quad n = 1 \dots N

    Value, slope and curvature are continuous, and zero from the cutoff :math:`c` on: the envelope :math:`u` ends one
    knot before it. The functions of scores have no envelope, since they weigh what has one.

    Args:
        channels: number of functions in a set
        degree: highest degree of the harmonics
        heads: number of attention heads
        turns: whether the neighbours have features that turn
        cutoff: ``c`` in Å
        envelope_exponent: exponent of the :class:`~torch_gptff.nn.PolynomialEnvelope`
        num_radial: number of inputs ``N`` of the network
        hidden_channels: width of the hidden layer of the network
        per_angstrom: number of knots per Å, rounded up so that the cutoff is a knot
    """

    SCALE = 0.25
    """Initial scale of functions with an envelope, so that a sum over 16 neighbours has the size of one feature."""

    def __init__(
        self,
        channels: int,
        degree: int,
        heads: int,
        turns: bool,
        cutoff: float,
        envelope_exponent: int,
        num_radial: int = 16,
        hidden_channels: int = 64,
        per_angstrom: int = 8,
    ) -> None:
        super().__init__()
        sets, width = columns(channels, degree, heads, turns)
        self.parts = (channels, (sets - 1) * channels, heads)  # functions of scores, of values, and biases of scores
        self.filling = width - sum(self.parts) - 1
        self.cutoff = cutoff
        self.num_radial = num_radial
        self.bins = math.ceil(cutoff * per_angstrom)
        self.envelope = make_envelope(envelope_exponent, cutoff * (1 - 1 / self.bins))
        self.lin_hidden = nn.Linear(num_radial, hidden_channels)
        self.lin_out = nn.Linear(hidden_channels, sum(self.parts))
        self._kept: tuple[list[tuple[int, int, torch.dtype]], Radial] | None = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        self.lin_hidden.reset_parameters()
        self.lin_out.reset_parameters()
        nn.init.normal_(self.lin_out.weight, std=1.5 * self.lin_out.in_features**-0.5)  # functions of size 0.5

    def forward(self) -> Radial:
        """The table of the current parameters; it is computed once for frozen ones."""
        parameters = list(self.parameters())
        if any(p.requires_grad or p.is_inference() for p in parameters) or not is_plain(parameters):
            return self._made()
        state = [(p.data_ptr(), p._version, p.dtype) for p in parameters]
        if self._kept is None or self._kept[0] != state:
            self._kept = state, self._made()
        return self._kept[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}

    def _made(self) -> Radial:
        weight = self.lin_hidden.weight
        # Coefficient k is of the piece whose middle is k - 1 bins from the atom.
        r = (torch.arange(self.bins + 3, dtype=weight.dtype, device=weight.device) - 1) * (self.cutoff / self.bins)
        n = torch.arange(1, self.num_radial + 1, dtype=weight.dtype, device=weight.device)
        basis = math.sqrt(2) * torch.sin(n * (math.pi / self.cutoff) * r.unsqueeze(-1))
        scores, values, biases = self.lin_out(F.silu(self.lin_hidden(basis))).split(self.parts, dim=1)
        envelope = self.envelope(r.clamp(min=0)).unsqueeze(-1)
        filling = values.new_zeros(len(r), self.filling)
        table = torch.cat([scores, values * (envelope * self.SCALE), biases, envelope, filling], dim=1)
        return Radial(table, self.bins / self.cutoff)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({sum(self.parts)} functions, cutoff={self.cutoff}, knots={self.bins + 3})"
