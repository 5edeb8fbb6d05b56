"""GPTFF, the graph-based pre-trained transformer force field."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn.inits import reset

from torch_gptff.graph import structure_index
from torch_gptff.models.base import EnergyModel
from torch_gptff.models.config import GPTFFConfig
from torch_gptff.nn import (
    AngleConv,
    AtomConv,
    AtomwiseReadout,
    BesselBasis,
    BlockLinear,
    BondConv,
    GlobalAttention,
    GraphTransformer,
    HarmonicAngleConv,
    LocalAttention,
    PooledReadout,
    make_envelope,
)


@dataclass
class Geometry:
    """What the layers see of a graph's geometry: functions of bond lengths and of the angles between bonds.

    Attributes:
        edge_index: bonds, ``[2, E]``
        radial: their radial functions, ``[E, R]``
        envelope: ``[E]``
        short: the bonds no longer than the angle cutoff, as columns of ``edge_index``, ``[S]``
        short_edge_index: ``edge_index[:, short]``
        short_radial: radial functions that end at the angle cutoff, ``[S, R]``
        short_envelope: ``[S]``
        angle_index: angles as pairs of positions in ``short``, ``[2, A]``; ``None`` with harmonic updates
        direction: unit vectors of the short bonds, ``[S, 3]``
        batch: the structure of every atom, ``[N]``
        n_structures: their number ``B``
    """

    edge_index: Tensor
    radial: Tensor
    envelope: Tensor
    short: Tensor
    short_edge_index: Tensor
    short_radial: Tensor
    short_envelope: Tensor
    angle_index: Tensor | None
    direction: Tensor
    batch: Tensor
    n_structures: int


class GPTFFLayer(nn.Module):
    """Angles update bonds, bonds update themselves and their atoms, and atoms attend to atoms."""

    def __init__(self, config: GPTFFConfig) -> None:
        super().__init__()
        self.angle: AngleConv | HarmonicAngleConv = (
            AngleConv(config.channels, config.num_radial)
            if config.angle_update == "explicit"
            else HarmonicAngleConv(config.channels, config.num_radial, config.degree)
        )
        self.bond = BondConv(config.channels, config.num_radial)
        self.atom = AtomConv(config.channels, config.num_radial)
        self.transformer: GraphTransformer | None = None
        if config.transformer != "none":
            width, heads, dropout = config.channels, config.heads, config.dropout
            self.is_global = config.transformer == "global"
            attention = (
                GlobalAttention(width, heads, dropout)
                if self.is_global
                else LocalAttention(width, heads, config.num_radial, dropout)
            )
            self.transformer = GraphTransformer(attention, width, config.feedforward_channels, dropout)
            self.norm1 = nn.LayerNorm(width)
            self.norm2 = nn.LayerNorm(width)

    def reset_parameters(self) -> None:
        for module in self.children():
            reset(module)

    def forward(self, x: Tensor, e: Tensor, g: Geometry) -> tuple[Tensor, Tensor]:
        """Atom features ``[N, d]`` and bond features ``[E, d]``, updated."""
        bonds = (x, g.short_edge_index, e[g.short])
        angles = (
            self.angle(*bonds, g.angle_index, g.short_radial, g.direction, g.short_envelope)
            if g.angle_index is not None
            else self.angle(*bonds, g.short_radial, g.direction, g.short_envelope)
        )
        e = e.index_add(0, g.short, angles)
        e = e + self.bond(x, g.edge_index, e, g.radial, g.envelope)
        x = x + self.atom(x, g.edge_index, e, g.radial, g.envelope)
        if self.transformer is not None:
            x = self.norm1(x)
            where = (g.batch, g.n_structures) if self.is_global else (g.edge_index, g.radial, g.envelope)
            x = self.norm2(self.transformer(x, *where)) + x
        return x, e


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
    """

    name = "gptff"

    def __init__(self, config: GPTFFConfig | None = None) -> None:
        super().__init__()
        config = config or GPTFFConfig()
        self.config = config
        self.cutoff = config.cutoff
        self.angle_cutoff = config.angle_cutoff if config.angle_update == "explicit" else None
        self.elements = frozenset(range(1, config.max_z + 1))
        self.is_atomwise = config.readout == "atomwise"
        self.is_local = self.is_atomwise and config.transformer != "global"
        self.is_extensive = self.is_local
        self.is_smooth = config.envelope_exponent is not None

        width, n_radial = config.channels, config.num_radial
        self.bond_basis = BesselBasis(n_radial, config.cutoff)
        self.angle_basis = BesselBasis(n_radial, config.angle_cutoff)
        self.bond_envelope = make_envelope(config.envelope_exponent, config.cutoff)
        self.angle_envelope = make_envelope(config.envelope_exponent, config.angle_cutoff)
        self.embedding = nn.Embedding(config.max_z + 1, width)
        self.lin_basis = nn.Linear(n_radial, width)
        self.lin_bond = BlockLinear((width, width, width), width)
        self.lin_radial = nn.Linear(n_radial, width)
        self.layers = nn.ModuleList(GPTFFLayer(config) for _ in range(config.num_layers))
        self.readout = (AtomwiseReadout if config.readout == "atomwise" else PooledReadout)(width)

    def reset_parameters(self) -> None:
        for module in self.children():
            reset(module)

    def interaction_energy(self, graph: Data, vectors: Tensor) -> Tensor:
        batch, n_structures = structure_index(graph)
        return self.readout(self._atom_features(graph, vectors), batch, n_structures)

    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        if not isinstance(self.readout, AtomwiseReadout):
            return super().atomic_energies(graph, vectors)
        return self.readout.mlp(self._atom_features(graph, vectors)).to(torch.float64)

    def _atom_features(self, graph: Data, vectors: Tensor) -> Tensor:
        geometry = self._geometry(graph, vectors)
        x = self._embed_atoms(graph.z)
        e = self._embed_bonds(x, geometry)
        for layer in self.layers:
            x, e = layer(x, e, geometry)
        return x

    def _geometry(self, graph: Data, vectors: Tensor) -> Geometry:
        lengths = vectors.norm(dim=-1)
        is_short = lengths <= self.config.angle_cutoff
        angle_index = None
        if self.angle_cutoff is not None:
            is_short = is_short.scatter(0, graph.angle_index.flatten(), True)
            angle_index = (is_short.cumsum(0) - 1)[graph.angle_index]
        short = is_short.nonzero().squeeze(-1)
        batch, n_structures = structure_index(graph)
        return Geometry(
            edge_index=graph.edge_index,
            radial=self.bond_basis(lengths),
            envelope=self.bond_envelope(lengths),
            short=short,
            short_edge_index=graph.edge_index[:, short],
            short_radial=self.angle_basis(lengths[short]),
            short_envelope=self.angle_envelope(lengths[short]),
            angle_index=angle_index,
            direction=vectors[short] / lengths[short].unsqueeze(-1),
            batch=batch,
            n_structures=n_structures,
        )

    def _embed_atoms(self, z: Tensor) -> Tensor:
        x = self.embedding(z)
        limit = self.config.embedding_max_norm
        if limit is not None:
            norm = x.norm(dim=-1, keepdim=True)
            x = torch.where(norm > limit, x * (limit / (norm + 1e-7)), x)
        return x

    def _embed_bonds(self, x: Tensor, g: Geometry) -> Tensor:
        """``e_ij = W [x_i ‖ x_j ‖ W_b b_ij] ⊙ W_r b_ij u(r_ij)``."""
        neighbour, centre = g.edge_index
        w_centre, w_neighbour, w_basis = self.lin_bond.split()
        x_centre, x_neighbour = F.linear(x, w_centre, self.lin_bond.bias), F.linear(x, w_neighbour)
        e = x_centre[centre] + x_neighbour[neighbour] + F.linear(self.lin_basis(g.radial), w_basis)
        return e * self.lin_radial(g.radial) * g.envelope.unsqueeze(-1)

    def __repr__(self) -> str:
        n_parameters = sum(parameter.numel() for parameter in self.parameters())
        changed = {k: v for k, v in self.config.to_dict().items() if v != GPTFFConfig.__dataclass_fields__[k].default}
        settings = "".join(f"{name}={value!r}, " for name, value in changed.items())
        return f"{type(self).__name__}({settings}{n_parameters:,} parameters)"
