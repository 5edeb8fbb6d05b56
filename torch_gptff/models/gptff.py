"""GPTFF, the graph-based pre-trained transformer force field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn.inits import reset

from torch_gptff.graph import structure_index
from torch_gptff.models.base import EnergyModel
from torch_gptff.models.config import GPTFFConfig
from torch_gptff.models.exchange import ALONE, Exchange
from torch_gptff.models.geometric_inference import GeometricInference
from torch_gptff.models.geometry import BondRange, Geometry, ranges_of_centres
from torch_gptff.models.hub import HubModel
from torch_gptff.models.inference import Inference
from torch_gptff.models.model_config import Configured
from torch_gptff.models.output import UNUSED, Output
from torch_gptff.models.paper_inference import PaperInference
from torch_gptff.models.paper_layer import PaperLayer, recomputed
from torch_gptff.models.properties import PropertyHead, turns
from torch_gptff.models.replayed_inference import ReplayedInference
from torch_gptff.nn import (
    AtomwiseReadout,
    BlockLinear,
    GeometricAttention,
    GeometricTransformer,
    PooledReadout,
    RadialFeatures,
    ZBLRepulsion,
    sum_by_structure,
)

MAX_BONDS, MAX_GEOMETRIC_BONDS = 1_500_000, 10_000_000


class GPTFF(Configured, HubModel, EnergyModel):
    r"""The graph-based pre-trained transformer force field, from the paper `GPTFF: A high-accuracy out-of-the-box
    universal AI force field for arbitrary inorganic materials <https://arxiv.org/abs/2402.19327>`_.

    Called like the molecular models of PyG, on molecules and on crystals::

        model = GPTFF()
        energy = model(data.z, data.pos, data.batch)  # [B, 1]
        energy = model(data.z, data.pos, data.batch, data.cell, data.pbc)

    It is built from a configuration, from settings by name, or from one with changes, where
    ``hidden_channels``, ``num_heads``, ``num_rbf``, ``lmax``, ``readout``, ``dipole``, ``mean``, ``std`` and
    ``atomref`` are what they are in PyG's ``SchNet`` and ``ViSNet``::

        model = GPTFF(hidden_channels=64, num_layers=3, cutoff=6.0, atomref=dataset.atomref(7))
        model = GPTFF(GPTFFConfig.paper())
        model = GPTFF(GPTFFConfig.large(), out_channels=3, readout="mean")

    Args:
        config: the recommended model by default, whose attention carries geometry; :meth:`GPTFFConfig.v1` and
            :meth:`GPTFFConfig.v2` are the architectures of the published checkpoints
        settings: fields of :class:`GPTFFConfig` by name, or by the names above

    Raises:
        ConfigError: a setting is unknown, given twice, or out of range.

    Attributes:
        max_bonds: a graph with more bonds than this is computed a range of atoms at a time, in less memory and more
            time. Energy, forces and stress otherwise take some 0.5 kB for a bond on the CPU, most of it the graph's and
            the atoms', so that ranges save little; 6 to 11 kB with the layers of the paper, 20 to 25 kB with harmonic
            angles. With geometric attention, of no account where energy and forces are one call of a kernel
    """

    name = "gptff"
    config_type = GPTFFConfig
    setting_names: ClassVar[Mapping[str, str]] = {
        "hidden_channels": "channels",
        "num_heads": "heads",
        "num_rbf": "num_radial",
        "lmax": "degree",
    }

    def __init__(self, config: GPTFFConfig | None = None, **settings: Any) -> None:
        super().__init__()
        config = self.settled(config, settings)
        self.config = config
        self.max_bonds = MAX_GEOMETRIC_BONDS if config.transformer == "geometric" else MAX_BONDS
        self._inference: Inference | None = None
        self.cutoff = config.cutoff
        self.angle_cutoff = config.angle_cutoff if config.angle_update == "explicit" else None
        self.elements = config.known_elements(frozenset(range(1, config.max_z + 1)))
        self.num_readouts = config.num_readouts
        output = Output(config, is_mean=config.readout == "mean")
        self.is_energy = output.is_energy
        self.is_atomwise = config.readout == "atomwise" and output.is_sum
        self.is_local = self.is_atomwise and config.transformer != "global"
        self.is_extensive = self.can_exchange = self.is_local
        self.is_smooth = config.envelope_exponent is not None
        self.is_exportable = config.transformer != "global" and config.angle_update != "harmonic"

        self.is_geometric = config.transformer == "geometric"
        width = config.channels
        self.exchange_width = width * (config.degree + 1) ** 2 if self.is_geometric else width
        self.embedding = nn.Embedding(config.max_z + 1, width)
        if self.is_geometric:
            self._add_geometric_layers(config)
        else:
            self._add_paper_layers(config)
        self.readout: AtomwiseReadout | PooledReadout = (
            PooledReadout(width, config.out_channels)
            if config.readout == "pooled"
            else AtomwiseReadout(width, config.num_readouts, config.out_channels)
        )
        self.output = output
        self.heads = nn.ModuleDict(
            {f"of_{name}": PropertyHead(kind, width) for name, kind in config.properties.items()}
        )
        self.repulsion = ZBLRepulsion(config.cutoff, config.max_z) if config.repulsion else None

    def _add_paper_layers(self, config: GPTFFConfig) -> None:
        width = config.channels
        self.bond_features = RadialFeatures(config.num_radial, config.cutoff, config.envelope_exponent)
        self.angle_features = RadialFeatures(config.num_radial, config.angle_cutoff, config.envelope_exponent)
        num_features = self.bond_features.num_features
        self.lin_basis = nn.Linear(num_features, width, bias=False)
        self.lin_bond = BlockLinear((width, width, width), width)
        self.lin_radial = nn.Linear(num_features, width, bias=False)
        self.layers = nn.ModuleList(PaperLayer(config, num_features) for _ in range(config.num_layers))

    def _add_geometric_layers(self, config: GPTFFConfig) -> None:
        assert config.envelope_exponent is not None, "the configuration sees to it"
        self.layers = nn.ModuleList(
            GeometricTransformer(
                config.channels,
                config.degree,
                config.heads,
                config.cutoff,
                config.envelope_exponent,
                config.feedforward_channels,
                first=number == 0,
                last=number == config.num_layers - 1 and not turns(config.properties),
                num_radial=config.num_radial,
            )
            for number in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(config.channels)

    def reset_parameters(self) -> None:
        for module in self.children():
            reset(module)

    def interaction_energy(self, graph: Data, vectors: Tensor) -> Tensor:
        self.require_energy()
        return self.outputs(graph, vectors).squeeze(-1)

    def outputs(self, graph: Data, vectors: Tensor) -> Tensor:
        return self._outputs(self.node_features(graph, vectors), graph, vectors)

    def energy_and_properties(self, graph: Data, vectors: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        self.require_energy()
        x, features = self._body(graph, vectors)
        found = {name: self.heads[f"of_{name}"](x, features, *structure_index(graph)) for name in self.property_kinds}
        return self._outputs(x, graph, vectors).squeeze(-1), found

    @property
    def property_kinds(self) -> Mapping[str, str]:
        return self.config.properties

    def node_features(self, graph: Data, vectors: Tensor) -> Tensor:
        return self._body(graph, vectors)[0]

    def _outputs(self, x: Tensor, graph: Data, vectors: Tensor) -> Tensor:
        batch, n_structures = structure_index(graph)
        if self.config.dipole:
            return self.output.dipole(self.readout.mlp(x), graph)
        outputs = self.output(self.readout(x, batch, n_structures), graph)
        if self.repulsion is None:
            return outputs
        repulsion = sum_by_structure(self.repulsion(graph.z, graph.edge_index, vectors), batch, n_structures)
        return outputs + repulsion.unsqueeze(-1)

    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        if not isinstance(self.readout, AtomwiseReadout) or not self.is_atomwise:
            return super().atomic_energies(graph, vectors)
        energies = self.readout.atomic_energies(self.node_features(graph, vectors), *structure_index(graph))
        energies = self.output.of_atoms(energies, graph.z)
        return energies if self.repulsion is None else energies + self.repulsion(graph.z, graph.edge_index, vectors)

    def member_energies(self, graph: Data, vectors: Tensor, exchange: Exchange = ALONE) -> Tensor:
        if not isinstance(self.readout, AtomwiseReadout) or not self.is_atomwise:
            return super().member_energies(graph, vectors)
        x, _ = self._body(graph, vectors, exchange)
        energies = self.output.of_atoms(self.readout.members(x), exchange.own(graph.z))
        if self.repulsion is not None:
            repulsion = self.repulsion(graph.z, graph.edge_index, vectors)
            energies = energies + exchange.own(repulsion).unsqueeze(-1)
        return energies

    def energies_and_gradient(
        self, graph: Data, vectors: Tensor, exchange: Exchange = ALONE
    ) -> tuple[Tensor, Tensor, Tensor | None] | None:
        found = self._in_one_call(graph, vectors, exchange)
        if found is None:
            return None
        energies, gradient, features = found
        if self.is_atomwise:
            energies = self.output.of_atoms(energies, exchange.own(graph.z))
        else:
            energies = self.output(energies, graph)
        if not self.output.is_plain:
            gradient = gradient * self.output.std
        repulsion = None
        if self.repulsion is not None:
            repulsion = self.repulsion.with_gradient(graph.z, graph.edge_index, vectors)
        if repulsion is not None:
            of_atoms, of_bonds = exchange.own(repulsion[0]), repulsion[1]
            if not self.is_atomwise:
                of_atoms = sum_by_structure(of_atoms, *structure_index(graph))
            energies, gradient = energies + of_atoms.unsqueeze(-1), gradient + of_bonds
        return energies, gradient, features

    def _in_one_call(
        self, graph: Data, vectors: Tensor, exchange: Exchange
    ) -> tuple[Tensor, Tensor, Tensor | None] | None:
        """Output of the network, its gradient and features of atoms by one call of a kernel, or by a CUDA graph;
        ``None`` without either."""
        kinds: tuple[type[Inference], ...] = (PaperInference,)
        if self.is_geometric:
            kinds = GeometricInference, ReplayedInference
        kind = next((each for each in kinds if each.can_fuse(self, graph, vectors, exchange)), None)
        if kind is None:
            return None
        if not isinstance(self._inference, kind) or not self._inference.fits():
            self._inference = kind(self)
        return None if self._inference.is_hooked() else self._inference(graph, vectors, exchange)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_inference": None}

    def _body(self, graph: Data, vectors: Tensor, exchange: Exchange = ALONE) -> tuple[Tensor, list[Tensor]]:
        """Features of atoms, and those that turn with the structure, where they are wanted behind the last layer."""
        if self.is_geometric:
            return self._geometric_features(graph, vectors, exchange)
        return self._paper_features(graph, vectors, exchange), []

    def _geometric_features(self, graph: Data, vectors: Tensor, exchange: Exchange) -> tuple[Tensor, list[Tensor]]:
        x = exchange.own(self._embed_atoms(graph.z))
        features: list[Tensor] = []
        ranges = [
            BondRange.of(graph, vectors, atoms, bonds, self.config.degree)
            for atoms, bonds, _ in ranges_of_centres(graph, self.max_bonds, len(x))
        ]
        if len(ranges) == 1:
            ranges = [ranges[0].measured()]

        def attend(
            attention: GeometricAttention, y: Tensor, features: Sequence[Tensor]
        ) -> tuple[Tensor, list[Tensor], Tensor]:
            y, *features = exchange(y, *features)
            parts = [recomputed(part.attend, attention, y, features, of=ranges) for part in ranges]
            zero, turning, total = zip(*parts, strict=True)
            if len(parts) == 1:
                return zero[0], turning[0], total[0]
            return torch.cat(zero), [torch.cat(each) for each in zip(*turning, strict=True)], torch.cat(total)

        for layer in self.layers:
            x, features = layer(x, features, attend)
        return self.norm(x), features

    def _paper_features(self, graph: Data, vectors: Tensor, exchange: Exchange) -> Tensor:
        batch, n_structures = structure_index(graph)
        x = self._embed_atoms(graph.z)
        cuts = ranges_of_centres(graph, self.max_bonds, len(exchange.own(x)))
        ranges = [self._geometry(graph, vectors, *cut) for cut in cuts]
        e = [self._embed_bonds(x, part) for part in ranges]
        for number, layer in enumerate(self.layers):
            if number:
                (x,) = exchange(x)
            x, e = layer(x, e, ranges, batch, n_structures, exchange)
        return x

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
        usual = (
            {"properties": {}}
            | dict(UNUSED)
            | GPTFFConfig(transformer=self.config.transformer).to_dict()
            | {"transformer": "geometric"}
        )
        changed = {name: value for name, value in self.config.to_dict().items() if value != usual[name]}
        if "atomref" in changed:
            changed["atomref"] = "..."
        settings = "".join(f"{name}={value!r}, " for name, value in changed.items())
        return f"{type(self).__name__}({settings}{n_parameters:,} parameters)"
