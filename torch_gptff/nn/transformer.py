"""Attention between the atoms of a structure."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.nn.inits import reset
from torch_geometric.typing import PairTensor
from torch_geometric.utils import to_dense_batch

from torch_gptff.ops.attention import attention
from torch_gptff.ops.local_attention import can_fuse, local_attention, shares


class GlobalAttention(nn.Module):
    r"""Multi-head attention in which every atom of a structure attends to every atom of the same structure.

    .. math::
        \Delta x_i = W_o \sum_j \mathrm{softmax}_j\left( \frac{(W_q x_i) \cdot (W_k x_j)}{\sqrt{d_h}} \right) W_v x_j

    The keys have no bias, since softmax cancels a constant in all scores of an atom.

    Args:
        channels: width ``d``
        heads: number of heads; divides ``channels``
        dropout: dropout probability of the attention weights in training
    """

    def __init__(self, channels: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.lin_query = nn.Linear(channels, channels)
        self.lin_key = nn.Linear(channels, channels, bias=False)
        self.lin_value = nn.Linear(channels, channels)
        self.lin_out = nn.Linear(channels, channels)

    def reset_parameters(self) -> None:
        for linear in (self.lin_query, self.lin_key, self.lin_value, self.lin_out):
            linear.reset_parameters()

    def forward(self, x: Tensor, batch: Tensor, n_structures: int) -> Tensor:
        """Atom features ``[N, d]`` and the structure of each, ascending, ``[N]``, to ``[N, d]``."""
        dense, present = to_dense_batch(x, batch, batch_size=n_structures)  # [B, M, d], [B, M]
        query, key, value = (self._by_head(linear(dense)) for linear in (self.lin_query, self.lin_key, self.lin_value))
        mixed = attention(query, key, value, present if n_structures > 1 else None, self.dropout * self.training)
        return self.lin_out(mixed.transpose(1, 2).flatten(2)[present])

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class LocalAttention(MessagePassing):
    r"""Multi-head attention of every atom to itself and to its neighbours within the cutoff, images included.

    .. math::
        \Delta x_i = W_o \sum_{j \in \mathcal{N}(i) \cup \{i\}} \frac{u_{ij}\, \exp s_{ij}}{\sum_k u_{ik}\, \exp s_{ik}}
        W_v x_j, \qquad s_{ij} = \frac{(W_q x_i) \cdot (W_k x_j)}{\sqrt{d_h}} + W_b b_{ij}

    with the envelope :math:`u_{ij} = u(r_{ij})` (1 for the atom itself) inside the softmax, so that a neighbour's
    share fades to nothing as it leaves, and a bias of every head from the radial features :math:`b_{ij}`, the last of
    which is the envelope.

    Args:
        channels: width ``d``
        heads: number of heads; divides ``channels``
        num_radial: number ``R`` of radial features, see :class:`~torch_gptff.nn.RadialFeatures`
        dropout: dropout probability of the attention weights in training
    """

    def __init__(self, channels: int, heads: int, num_radial: int, dropout: float = 0.0) -> None:
        super().__init__(aggr="add", node_dim=0)
        self.fuse = True
        self.heads = heads
        self.dropout = dropout
        self.lin_query = nn.Linear(channels, channels)
        self.lin_key = nn.Linear(channels, channels, bias=False)
        self.lin_value = nn.Linear(channels, channels)
        self.lin_out = nn.Linear(channels, channels)
        self.lin_bias = nn.Linear(num_radial, heads, bias=False)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        for linear in (self.lin_query, self.lin_key, self.lin_value, self.lin_out, self.lin_bias):
            linear.reset_parameters()

    def forward(self, x: Tensor | PairTensor, edge_index: Tensor, radial: Tensor) -> Tensor:
        """``x [N, d]``, or neighbours ``[N, d]`` and centres ``[M, d]``; ``edge_index [2, E]``, ``radial [E, R]``."""
        x_neighbour, x_centre = (x, x) if isinstance(x, Tensor) else x
        query = self.lin_query(x_centre) / math.sqrt(x_centre.size(1) // self.heads)
        key, value = self.lin_key(x_neighbour), self.lin_value(x_neighbour)
        own_key, own_value = (
            (key, value) if x_centre is x_neighbour else (self.lin_key(x_centre), self.lin_value(x_centre))
        )
        bias, envelope = self.lin_bias(radial), radial[:, -1]
        dropout = self.dropout * self.training
        if self.fuse and not self.explain and not dropout and can_fuse(envelope, value.size(1)):
            return self.lin_out(local_attention(query, key, value, own_key, own_value, bias, envelope, edge_index))
        own, others = shares(query, key, own_key, bias, envelope, edge_index)
        own, others = F.dropout(own, dropout), F.dropout(others, dropout)
        value, own_value = (each.unflatten(-1, (self.heads, -1)) for each in (value, own_value))
        mixed = own.unsqueeze(-1) * own_value
        mixed = mixed + self.propagate(edge_index, value=value, share=others, size=(len(value), len(own)))
        return self.lin_out(mixed.flatten(1))

    def message(self, value_j: Tensor, share: Tensor) -> Tensor:
        return value_j * share.unsqueeze(-1)


class GraphTransformer(nn.Module):
    r"""A post-norm transformer encoder layer between the atoms of each structure.

    .. math::
        y &= \mathrm{LN}(x + \mathrm{attention}(x)) \\
        T(x) &= \mathrm{LN}(y + W_2\, \mathrm{GELU}(W_1 y))

    from `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_.

    Args:
        attention: a :class:`GlobalAttention` or :class:`LocalAttention`, of width ``channels``
        channels: width ``d``
        feedforward_channels: width of the hidden layer
        dropout: dropout probability in training
    """

    def __init__(self, attention: nn.Module, channels: int, feedforward_channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention = attention
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.lin1 = nn.Linear(channels, feedforward_channels)
        self.lin2 = nn.Linear(feedforward_channels, channels)
        self.dropout = nn.Dropout(dropout)

    def reset_parameters(self) -> None:
        for module in (self.attention, self.norm1, self.norm2, self.lin1, self.lin2):
            reset(module)

    def forward(self, x: Tensor | PairTensor, *where: Tensor | int) -> Tensor:
        """Atom features and what the attention takes after them, to the same for the atoms that attend."""
        attending = x if isinstance(x, Tensor) else x[1]
        x = self.norm1(attending + self.dropout(self.attention(x, *where)))
        return self.norm2(x + self.dropout(self.lin2(self.dropout(F.gelu(self.lin1(x))))))
