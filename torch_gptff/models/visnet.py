"""ViSNet, as a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn.models.visnet import (
    CosineCutoff,
    EdgeEmbedding,
    EquivariantScalar,
    ExpNormalSmearing,
    GatedEquivariantBlock,
    NeighborEmbedding,
    Sphere,
    VecLayerNorm,
    ViS_MP,
    ViS_MP_Vertex,
)

from torch_gptff.errors import ConfigError
from torch_gptff.models.atomwise import AtomwiseModel
from torch_gptff.models.model_config import ModelConfig

_MAX_Z = 99


@dataclass(frozen=True)
class ViSNetConfig(ModelConfig):
    """Configuration of a ViSNet. The defaults are those of PyG.

    Attributes:
        hidden_channels: width of atom and bond features
        num_heads: number of attention heads; divides ``hidden_channels``
        num_layers: layers
        num_rbf: radial functions
        lmax: highest degree of the spherical harmonics, 1 or 2
        vertex: whether bonds also hear of the vectors at one end
        trainable_rbf: whether the radial functions are trained
        cutoff: cutoff radius of the bonds, Å
        softening: ``s`` of the length ``sqrt(v² + s²)`` of the vectors that the readout sees. PyG has 0: then the
            energy has a kink, and forces have no value, where symmetry makes a vector vanish, as in most perfect
            crystals
        readout: ``"add"``, the sum over atoms, or ``"mean"``
        out_channels, dipole, mean, std, atomref: see :class:`~torch_gptff.models.output.OutputConfig`; but ``mean``
            is added once for a structure
    """

    hidden_channels: int = 128
    num_heads: int = 8
    num_layers: int = 6
    num_rbf: int = 32
    lmax: int = 1
    vertex: bool = False
    trainable_rbf: bool = False
    cutoff: float = 5.0
    softening: float = 0.01
    readout: str = "add"

    def __post_init__(self) -> None:
        self._check_fields("hidden_channels", "num_heads", "num_layers", "num_rbf", "cutoff")
        if self.hidden_channels % self.num_heads:
            raise ConfigError(f"num_heads must divide hidden_channels; got {self.num_heads} and {self.hidden_channels}")
        if self.lmax not in (1, 2):
            raise ConfigError(f"lmax must be 1 or 2; got {self.lmax!r}")
        if not self.softening >= 0:
            raise ConfigError(f"softening must be at least 0; got {self.softening!r}")


class ViSNet(AtomwiseModel):
    """The equivariant vector-scalar network of `ViSNet <https://arxiv.org/abs/2210.16518>`_, of molecules and crystals.

    Atoms carry features and vectors, bonds features; an atom also attends to itself. The layers are those of
    :class:`torch_geometric.nn.models.ViSNet`, whose weights fit by the ends of their names, and whose energy this is
    for a molecule, but for what follows.

    - An atom's own images are its neighbours in the embedding too, where PyG takes them for the atom itself.
    - ``s_proj`` of each layer has no bias, which would let vectors jump as a neighbour crosses the cutoff. PyG begins
      with 0 there.
    - Vectors are softened, see :class:`~torch_gptff.models.ViSNetConfig`.
    - Weights that only meet the vectors of the first layer, which are zero, or make the vectors of the last, which
      nothing uses, are left out.

    Args:
        config: the defaults where it is not given
        settings: fields of the configuration by name; they replace those of ``config``
    """

    name = "visnet"
    config_type = ViSNetConfig
    setting_names: ClassVar[Mapping[str, str]] = {"reduce_op": "readout"}
    mean_of_structure = True
    known_z = frozenset(range(1, _MAX_Z + 1))

    def _add_layers(self, config: ViSNetConfig) -> None:
        width, num_rbf = config.hidden_channels, config.num_rbf
        self.embedding = nn.Embedding(_MAX_Z + 1, width)
        self.sphere = Sphere(config.lmax)
        self.distance_expansion = ExpNormalSmearing(config.cutoff, num_rbf, config.trainable_rbf)
        self.neighbor_embedding = PeriodicNeighborEmbedding(width, num_rbf, config.cutoff, _MAX_Z + 1)
        self.edge_embedding = EdgeEmbedding(num_rbf, width)
        self.vis_mp_layers = nn.ModuleList(_layer(config, number) for number in range(config.num_layers))
        self.out_norm = nn.LayerNorm(width)
        self.vec_out_norm = VecLayerNorm(width, trainable=False, norm_type=None)
        self.output_network = EquivariantScalar(width).output_network
        if config.out_channels > 1:
            self.output_network[-1] = GatedEquivariantBlock(width // 2, config.out_channels, scalar_activation=False)
        for block in self.output_network:
            size = block.vec1_proj.in_features
            block.vec1_proj = SoftenedLinear(size, size, config.softening)
            block.reset_parameters()
        self.output_network[-1].vec2_proj = nn.ZeroPad1d((0, config.out_channels - width // 2))  # not used
        for module in list(self.modules()):
            for name, child in module.named_children():
                if isinstance(child, CosineCutoff):
                    setattr(module, name, TypedCutoff(config.cutoff))

    def atomic_values(self, graph: Data, vectors: Tensor) -> Tensor:
        x, v = self._body(graph, vectors)
        for block in self.output_network:
            x, v = block(x, v)
        return x

    def node_features(self, graph: Data, vectors: Tensor) -> Tensor:
        return self._body(graph, vectors)[0]

    def _body(self, graph: Data, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Features of atoms ``[N, c]`` and their vectors ``[N, M, c]``."""
        z, edge_index, lengths = graph.z, graph.edge_index, vectors.norm(dim=-1)
        radial = self.distance_expansion(lengths)
        x = self.neighbor_embedding(z, self.embedding(z), edge_index, lengths, radial)

        # Every atom is joined to itself as well: a bond of no length and no direction, behind all others.
        itself = torch.arange(len(z), device=z.device).expand(2, -1)
        edge_index = torch.cat([edge_index, itself], dim=1)
        directions = self.sphere(F.pad(vectors / lengths.unsqueeze(-1), (0, 0, 0, len(z))))
        lengths = F.pad(lengths, (0, len(z)))
        e = self.edge_embedding(edge_index, self.distance_expansion(lengths), x)

        v = x.new_zeros(len(z), directions.size(1), x.size(1))
        for layer in self.vis_mp_layers:
            dx, dv, de = layer(x, v, edge_index, lengths, e, directions)
            x, v = x + dx, v + dv
            e = e if de is None else e + de
        return self.out_norm(x), self.vec_out_norm(v)


class PeriodicNeighborEmbedding(NeighborEmbedding):
    """PyG's layer with the bonds that PyG leaves out: those between an atom and its own images."""

    def forward(self, z: Tensor, x: Tensor, edge_index: Tensor, edge_weight: Tensor, edge_attr: Tensor) -> Tensor:
        """Embed as the base class does; every bond must have a length."""
        weight = self.distance_proj(edge_attr) * self.cutoff(edge_weight).unsqueeze(-1)
        neighbours = self.propagate(edge_index, x=self.embedding(z), W=weight)
        return self.combine(torch.cat([x, neighbours], dim=1))


class TypedCutoff(CosineCutoff):
    """PyG's cutoff in the dtype of the distances; PyG's own is float32 for 16-bit distances."""

    def forward(self, distances: Tensor) -> Tensor:
        """Distances in Å, ``[E]``, to factors from 1 to 0, ``[E]``."""
        return super().forward(distances).to(distances.dtype)


class SoftenedLinear(nn.Linear):
    """A linear map of vectors without a bias, with one more component that is constant.

    The norm of what comes out is ``sqrt(v² + softening²)``, differentiable where ``v`` vanishes.
    """

    def __init__(self, in_features: int, out_features: int, softening: float) -> None:
        super().__init__(in_features, out_features, bias=False)
        self.softening = softening

    def forward(self, v: Tensor) -> Tensor:
        """``[N, 3, in]`` to ``[N, 4, out]``; nothing is added where the softening is 0."""
        v = super().forward(v)
        return F.pad(v, (0, 0, 0, 1), value=self.softening) if self.softening else v


def _layer(config: ViSNetConfig, number: int) -> ViS_MP:
    """A layer of PyG without what has no part in the energy, or would make it jump: see :class:`ViSNet`."""
    first, last = number == 0, number == config.num_layers - 1
    width = config.hidden_channels
    layer = (ViS_MP_Vertex if config.vertex else ViS_MP)(
        num_heads=config.num_heads,
        hidden_channels=width,
        cutoff=config.cutoff,
        vecnorm_type=None,
        trainable_vecnorm=False,
        last_layer=first or last,  # bonds are updated by vectors, and the first layer has none yet
    )
    layer.s_proj.register_parameter("bias", None)
    if first:
        layer.vec_proj = nn.ZeroPad1d((0, 2 * width))  # zeros of the width that the map would have
    return layer
