"""The layer of the paper: messages of angles to bonds, of bonds to atoms, and attention of atoms to atoms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch_geometric.nn.inits import reset

from torch_gptff.models.config import GPTFFConfig
from torch_gptff.models.exchange import ALONE, Exchange
from torch_gptff.models.geometry import Geometry
from torch_gptff.nn import (
    AngleConv,
    AtomConv,
    BondConv,
    GlobalAttention,
    GraphTransformer,
    HarmonicAngleConv,
    LocalAttention,
)


class PaperLayer(nn.Module):
    """Angles update bonds, bonds update themselves and their atoms, and atoms attend to atoms.

    Args:
        config: configuration of the model
        num_features: number of radial features
    """

    def __init__(self, config: GPTFFConfig, num_features: int) -> None:
        super().__init__()
        width, heads, dropout = config.channels, config.heads, config.dropout
        self.angle: AngleConv | HarmonicAngleConv = (
            AngleConv(width, num_features)
            if config.angle_update == "explicit"
            else HarmonicAngleConv(width, num_features, config.degree)
        )
        self.bond = BondConv(width, num_features)
        self.atom = AtomConv(width, num_features)
        self.transformer: GraphTransformer | None = None
        if config.transformer != "none":
            self.is_global = config.transformer == "global"
            attention = (
                GlobalAttention(width, heads, dropout)
                if self.is_global
                else LocalAttention(width, heads, num_features, dropout)
            )
            self.transformer = GraphTransformer(attention, width, config.feedforward_channels, dropout)
            self.norm1 = nn.LayerNorm(width)
            self.norm2 = nn.LayerNorm(width)

    def reset_parameters(self) -> None:
        for module in self.children():
            reset(module)

    def forward(
        self,
        x: Tensor,
        e: list[Tensor],
        ranges: list[Geometry],
        batch: Tensor,
        n_structures: int,
        exchange: Exchange = ALONE,
    ) -> tuple[Tensor, list[Tensor]]:
        """Features of all atoms ``[N, d]`` and of the bonds of every range, ``[E, d]`` each, to those of the
        process's own atoms, ``[M, d]``, and of the bonds, updated."""
        e = [recomputed(self.update_bonds, x, *both, of=ranges) for both in zip(e, ranges, strict=True)]
        parts = [recomputed(self.update_atoms, x, *both, of=ranges) for both in zip(e, ranges, strict=True)]
        x = torch.cat(parts)
        if self.transformer is not None:
            x = self.norm1(x)
            if self.is_global:
                x = self.norm2(self.transformer(x, batch, n_structures)) + x
            else:
                (x,) = exchange(x)
                x = torch.cat([recomputed(self.attend, x, part, of=ranges) for part in ranges])
        return x, e

    def update_bonds(self, x: Tensor, e: Tensor, g: Geometry) -> Tensor:
        """``e`` of one range, after the messages of its angles and of the atoms at its ends."""
        pair = (x, g.centres(x))
        short = (pair, g.short_edge_index, e.index_select(0, g.short))
        angles = (
            self.angle(*short, g.angle_index, g.short_radial, g.direction)
            if g.angle_index is not None
            else self.angle(*short, g.short_radial, g.direction)
        )
        e = e.index_add(0, g.short, angles.to(e.dtype))
        return self.bond(pair, g.edge_index, e, g.radial)

    def update_atoms(self, x: Tensor, e: Tensor, g: Geometry) -> Tensor:
        """``x`` of the centres of one range, after the messages of their bonds."""
        centres = g.centres(x)
        return centres + self.atom((x, centres), g.edge_index, e, g.radial)

    def attend(self, x: Tensor, g: Geometry) -> Tensor:
        """``norm2(T(x)) + x`` of the centres of one range."""
        assert self.transformer is not None
        centres = g.centres(x)
        return self.norm2(self.transformer((x, centres), g.edge_index, g.radial)) + centres


def recomputed(update: Callable[..., Any], *inputs: Any, of: Sequence[Any]) -> Any:
    """Checkpoint a range where there are several, to save memory: intermediate results are computed again."""
    if len(of) == 1:
        return update(*inputs)
    return checkpoint(update, *inputs, use_reentrant=False)
