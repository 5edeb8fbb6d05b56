"""SchNet, as a baseline."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn.models.schnet import GaussianSmearing, InteractionBlock, ShiftedSoftplus

from torch_gptff.errors import ConfigError
from torch_gptff.models.atomwise import AtomwiseModel
from torch_gptff.models.model_config import ModelConfig

_MAX_Z = 99


@dataclass(frozen=True)
class SchNetConfig(ModelConfig):
    """Configuration of a SchNet. The defaults are those of PyG, but for the cutoff.

    Attributes:
        hidden_channels: width of atom features
        num_filters: width of the filters
        num_interactions: layers
        num_gaussians: Gaussians that a distance is spread over, at least 2
        cutoff: cutoff radius of the bonds, Å
        readout: ``"add"``, the sum over atoms, or ``"mean"``
        out_channels, dipole, mean, std, atomref: see :class:`~torch_gptff.models.output.OutputConfig`
    """

    hidden_channels: int = 128
    num_filters: int = 128
    num_interactions: int = 6
    num_gaussians: int = 50
    cutoff: float = 5.0
    readout: str = "add"

    def __post_init__(self) -> None:
        self._check_fields("hidden_channels", "num_filters", "num_interactions", "cutoff")
        if self.num_gaussians < 2:
            raise ConfigError(f"num_gaussians must be at least 2; got {self.num_gaussians!r}")


class SchNet(AtomwiseModel):
    r"""The continuous-filter network of `SchNet <https://arxiv.org/abs/1706.08566>`_, on molecules and crystals.

    .. math::
        x_i \leftarrow x_i + \mathrm{MLP}\Bigl(\sum_j x_j \odot W(r_{ij})\, \tfrac12
        \bigl(1 + \cos\tfrac{\pi r_{ij}}{c}\bigr)\Bigr)

    The sum runs over every neighbour within the cutoff :math:`c`, images of the atom itself counted. Embedding,
    Gaussians and interaction blocks are those of :class:`torch_geometric.nn.SchNet`, whose weights fit by name, and
    whose energy this is for a molecule.

    Args:
        config: the defaults where it is not given
        settings: fields of the configuration by name; they replace those of ``config``
    """

    name = "schnet"
    config_type = SchNetConfig
    known_z = frozenset(range(1, _MAX_Z + 1))

    def _add_layers(self, config: SchNetConfig) -> None:
        width = config.hidden_channels
        self.embedding = nn.Embedding(_MAX_Z + 1, width, padding_idx=0)
        self.distance_expansion = GaussianSmearing(0.0, config.cutoff, config.num_gaussians)
        self.interactions = nn.ModuleList(
            InteractionBlock(width, config.num_gaussians, config.num_filters, config.cutoff)
            for _ in range(config.num_interactions)
        )
        for block in self.interactions:
            # The block knows its filter network twice, and safetensors refuses two names for one tensor.
            filters = block._modules.pop("mlp")
            object.__setattr__(block, "mlp", filters)
        self.lin1 = nn.Linear(width, width // 2)
        self.act = ShiftedSoftplus()
        self.lin2 = nn.Linear(width // 2, config.out_channels)
        for linear in (self.lin1, self.lin2):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def atomic_values(self, graph: Data, vectors: Tensor) -> Tensor:
        return self.lin2(self.act(self.lin1(self.node_features(graph, vectors))))

    def node_features(self, graph: Data, vectors: Tensor) -> Tensor:
        lengths = vectors.norm(dim=-1)
        gaussians = self.distance_expansion(lengths)
        x = self.embedding(graph.z)
        for interaction in self.interactions:
            x = x + interaction(x, graph.edge_index, lengths, gaussians)
        return x
