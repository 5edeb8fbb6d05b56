"""Attention of atoms to their neighbours that carries geometry."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from torch_gptff.nn.radial_table import RadialTable
from torch_gptff.ops.geometric_attention import Neighbours, columns, geometric_attention
from torch_gptff.ops.tensor_product import paths, tensor_product


class GeometricAttention(MessagePassing):
    def __init__(self, channels: int, degree: int, heads: int, cutoff: float, envelope_exponent: int, turns: bool, **radial) -> None:
        super().__init__(aggr="add")
        self.channels, self.degree, self.heads, self.turns = channels, degree, heads, turns
        self.lin_query = nn.Linear(channels, channels)
        self.lin_key = nn.Linear(channels, channels, bias=False)
        self.lin_value = nn.Linear(channels, channels, bias=False)
        sets, width = columns(channels, degree, heads, turns)
        padding = width - sets * channels - heads - 1
        self.radial = RadialTable(channels, (sets - 1) * channels, heads, padding, cutoff, envelope_exponent, **radial)

    def reset_parameters(self) -> None:
        for m in (self.lin_query, self.lin_key, self.lin_value, self.radial):
            m.reset_parameters()

    def forward(self, x, features, edge_index, lengths, harmonics):
        query = self.lin_query(x) * (self.channels // self.heads) ** -0.5
        return geometric_attention(query, Neighbours(self.lin_key(x), self.lin_value(x), features), lengths, harmonics, self.radial(), edge_index, self.heads)


class GeometricLayer(nn.Module):
    def __init__(self, channels, degree, heads, cutoff, envelope_exponent, feedforward, first=False, last=False, product=True, **radial):
        super().__init__()
        self.first, self.last, self.degree = first, last, degree
        self.norm = nn.LayerNorm(channels)
        self.attention = GeometricAttention(channels, degree, heads, cutoff, envelope_exponent, not first, **radial)
        lin = lambda: nn.ModuleList(nn.Linear(channels, channels, bias=False) for _ in range(degree))
        self.lin_message = lin()
        self.product_weight = nn.Parameter(torch.ones(len(paths(degree)), channels))
        self.lin_product = None if last else lin()
        self.lin1 = nn.Linear(2 * channels + 2 * degree * channels + heads, feedforward)
        self.lin2 = nn.Linear(feedforward, channels + (0 if last else degree * channels))

    def reset_parameters(self):
        for m in self.children():
            if isinstance(m, nn.ModuleList):
                for n in m: n.reset_parameters()
            else: m.reset_parameters()
        nn.init.ones_(self.product_weight)

    def forward(self, x, features, edge_index, lengths, harmonics):
        y = self.norm(x)
        zero, turning, total = self.attention(y, features, edge_index, lengths, harmonics)
        v = [lin(t) for lin, t in zip(self.lin_message, turning)]
        if features:
            v = [a + b for a, b in zip(v, features)]
        invariants, z = tensor_product(v, self.product_weight)
        h = F.silu(self.lin1(torch.cat([y, zero, invariants.flatten(1), total * 0.1], dim=1)))
        out = self.lin2(h)
        if self.last:
            return x + out, []
        dx, gates = out.split([x.size(1), out.size(1) - x.size(1)], dim=1)
        gates = (2 * gates.sigmoid()).unflatten(1, (self.degree, -1)).unsqueeze(2).unbind(1)
        return x + dx, [g * a + lin(b) for g, a, lin, b in zip(gates, v, self.lin_product, z)]
