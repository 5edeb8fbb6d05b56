"""GPTFF, the graph-based pre-trained transformer force field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch_geometric.data import Data
from torch_geometric.nn.inits import reset

from torch_gptff.graph import structure_index
from torch_gptff.models.base import EnergyModel
from torch_gptff.models.config import GPTFFConfig
from torch_gptff.models.geometry import Geometry, ranges_of_centres
from torch_gptff.nn import (
    AngleConv,
    AtomConv,
    AtomwiseReadout,
    BlockLinear,
    BondConv,
    GlobalAttention,
    GraphTransformer,
    HarmonicAngleConv,
    LocalAttention,
    PooledReadout,
    RadialFeatures,
    ZBLRepulsion,
    sum_by_structure,
)

MAX_BONDS = 1_500_000


class GPTFFLayer(nn.Module):
    """Angles update bonds, bonds update themselves and their atoms, and atoms attend to atoms.

    Args:
        config: of the model
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
        self, x: Tensor, e: list[Tensor], ranges: list[Geometry], batch: Tensor, n_structures: int
    ) -> tuple[Tensor, list[Tensor]]:
        """Atom features ``[N, d]`` and the bond features of every range, ``[E, d]`` each, updated."""
        e = [_recomputed(self.update_bonds, x, *both, of=ranges) for both in zip(e, ranges, strict=True)]
        parts = [_recomputed(self.update_atoms, x, *both, of=ranges) for both in zip(e, ranges, strict=True)]
        x = torch.cat(parts)
        if self.transformer is not None:
            x = self.norm1(x)
            if self.is_global:
                x = self.norm2(self.transformer(x, batch, n_structures)) + x
            else:
                x = torch.cat([_recomputed(self.attend, x, part, of=ranges) for part in ranges])
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


def _recomputed(update: Callable[..., Tensor], *inputs: Any, of: list[Geometry]) -> Tensor:
    """Where there are several ranges, memory is short: what lies between inputs and result is not kept."""
    if len(of) == 1:
        return update(*inputs)
    return checkpoint(update, *inputs, use_reentrant=False)


class GPTFF(EnergyModel):
    r"""The graph-based pre-trained transformer force field, from the paper `GPTFF: A high-accuracy out-of-the-box
    universal AI force field for arbitrary inorganic materials <https://arxiv.org/abs/2402.19327>`_.

    Called like the molecular models of PyG, on molecules and on crystals::

        model = GPTFF()
        energy = model(data.z, data.pos, data.batch)  # [B, 1]
        energy = model(data.z, data.pos, data.batch, data.cell, data.pbc)

    Args:
        config: the recommended model by default; :meth:`GPTFFConfig.v1` and :meth:`GPTFFConfig.v2` are the
            architectures of the published checkpoints

    Attributes:
        max_bonds: a graph with more bonds than this is computed a range of atoms at a time, in less memory and more
            time. Energy, forces and stress otherwise take 6 to 11 kB for a bond on the CPU, with harmonic angles 20 to
            25 kB
    """

    name = "gptff"

    def __init__(self, config: GPTFFConfig | None = None) -> None:
        super().__init__()
        config = config or GPTFFConfig()
        self.config = config
        self.max_bonds = MAX_BONDS
        self.cutoff = config.cutoff
        self.angle_cutoff = config.angle_cutoff if config.angle_update == "explicit" else None
        self.elements = frozenset(range(1, config.max_z + 1))
        self.num_readouts = config.num_readouts
        self.is_atomwise = config.readout == "atomwise"
        self.is_local = self.is_atomwise and config.transformer != "global"
        self.is_extensive = self.is_local
        self.is_smooth = config.envelope_exponent is not None
        self.is_exportable = config.transformer != "global" and config.angle_update == "explicit"

        width = config.channels
        self.bond_features = RadialFeatures(config.num_radial, config.cutoff, config.envelope_exponent)
        self.angle_features = RadialFeatures(config.num_radial, config.angle_cutoff, config.envelope_exponent)
        num_features = self.bond_features.num_features
        self.embedding = nn.Embedding(config.max_z + 1, width)
        self.lin_basis = nn.Linear(num_features, width, bias=False)
        self.lin_bond = BlockLinear((width, width, width), width)
        self.lin_radial = nn.Linear(num_features, width, bias=False)
        self.layers = nn.ModuleList(GPTFFLayer(config, num_features) for _ in range(config.num_layers))
        self.readout: AtomwiseReadout | PooledReadout = (
            AtomwiseReadout(width, config.num_readouts) if self.is_atomwise else PooledReadout(width)
        )
        self.repulsion = ZBLRepulsion(config.cutoff, config.max_z) if config.repulsion else None

    def reset_parameters(self) -> None:
        for module in self.children():
            reset(module)

    def interaction_energy(self, graph: Data, vectors: Tensor) -> Tensor:
        batch, n_structures = structure_index(graph)
        energy = self.readout(self._atom_features(graph, vectors), batch, n_structures)
        if self.repulsion is not None:
            energy = energy + sum_by_structure(self.repulsion(graph.z, graph.edge_index, vectors), batch, n_structures)
        return energy

    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        if not isinstance(self.readout, AtomwiseReadout):
            return super().atomic_energies(graph, vectors)
        energies = self.readout.atomic_energies(self._atom_features(graph, vectors), *structure_index(graph))
        return energies if self.repulsion is None else energies + self.repulsion(graph.z, graph.edge_index, vectors)

    def member_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        if not isinstance(self.readout, AtomwiseReadout):
            return super().member_energies(graph, vectors)
        energies = self.readout.members(self._atom_features(graph, vectors))
        if self.repulsion is not None:
            energies = energies + self.repulsion(graph.z, graph.edge_index, vectors).unsqueeze(-1)
        return energies

    def _atom_features(self, graph: Data, vectors: Tensor) -> Tensor:
        batch, n_structures = structure_index(graph)
        ranges = self._ranges(graph, vectors)
        x = self._embed_atoms(graph.z)
        e = [self._embed_bonds(x, part) for part in ranges]
        for layer in self.layers:
            x, e = layer(x, e, ranges, batch, n_structures)
        return x

    def _ranges(self, graph: Data, vectors: Tensor) -> list[Geometry]:
        return [self._geometry(graph, vectors, *cut) for cut in ranges_of_centres(graph, self.max_bonds)]

    def _geometry(self, graph: Data, vectors: Tensor, atoms: slice, bonds: slice, angles: slice) -> Geometry:
        vectors = vectors[bonds]
        lengths = vectors.norm(dim=-1)
        is_short = lengths <= self.config.angle_cutoff
        angle_index = None
        if self.angle_cutoff is not None:
            angle_index = graph.angle_index[:, angles] - bonds.start
            is_short = is_short.scatter(0, angle_index.flatten(), True)
            angle_index = (is_short.cumsum(0) - 1)[angle_index]
        short = is_short.nonzero().squeeze(-1)
        short_vectors, short_lengths = vectors[short], lengths[short]
        neighbour, centre = graph.edge_index[:, bonds]
        edge_index = torch.stack([neighbour, centre - atoms.start])
        return Geometry(
            atoms=atoms,
            edge_index=edge_index,
            radial=self.bond_features(lengths),
            short=short,
            short_edge_index=edge_index.index_select(1, short),
            short_radial=self.angle_features(short_lengths),
            direction=short_vectors / short_lengths.unsqueeze(-1),
            angle_index=angle_index,
        )

    def _embed_atoms(self, z: Tensor) -> Tensor:
        x = self.embedding(z)
        limit = self.config.embedding_max_norm
        if limit is not None:
            norm = x.norm(dim=-1, keepdim=True)
            x = torch.where(norm > limit, x * (limit / (norm + 1e-7)), x)
        return x

    def _embed_bonds(self, x: Tensor, g: Geometry) -> Tensor:
        """``e_ij = W [x_i ‖ x_j ‖ W_b b_ij] ⊙ W_r b_ij``."""
        neighbour, centre = g.edge_index
        w_centre, w_neighbour, w_basis = self.lin_bond.split()
        x_centre = F.linear(g.centres(x), w_centre, self.lin_bond.bias).index_select(0, centre)
        x_neighbour = F.linear(x, w_neighbour).index_select(0, neighbour)
        e = x_centre + x_neighbour + F.linear(g.radial, w_basis @ self.lin_basis.weight)
        return (e * self.lin_radial(g.radial)).to(x.dtype)  # autocast is for products, not for sums

    def __repr__(self) -> str:
        n_parameters = sum(parameter.numel() for parameter in self.parameters())
        changed = {k: v for k, v in self.config.to_dict().items() if v != GPTFFConfig.__dataclass_fields__[k].default}
        settings = "".join(f"{name}={value!r}, " for name, value in changed.items())
        return f"{type(self).__name__}({settings}{n_parameters:,} parameters)"
