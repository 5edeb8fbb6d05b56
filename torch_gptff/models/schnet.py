"""SchNet, as a baseline."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn.models.schnet import GaussianSmearing, InteractionBlock, ShiftedSoftplus

from torch_gptff.errors import ConfigError
from torch_gptff.graph import structure_index
from torch_gptff.models.base import EnergyModel
from torch_gptff.models.model_config import ModelConfig
from torch_gptff.nn import sum_by_structure

_MAX_Z = 99


@dataclass(frozen=True)
class SchNetConfig(ModelConfig):
    """Configuration of a SchNet. The defaults are those of PyG, but for the cutoff.

    Attributes:
        hidden_channels: width of atom features
        num_filters: width of the filters
        num_interactions: layers
        num_gaussians: Gaussians that a distance is spread over, at least 2
        cutoff: of bonds, Å
    """

    hidden_channels: int = 128
    num_filters: int = 128
    num_interactions: int = 6
    num_gaussians: int = 50
    cutoff: float = 5.0

    def __post_init__(self) -> None:
        self._check_fields("hidden_channels", "num_filters", "num_interactions", "cutoff")
        if self.num_gaussians < 2:
            raise ConfigError(f"num_gaussians must be at least 2; got {self.num_gaussians!r}")


class SchNet(EnergyModel):
    r"""The continuous-filter network of `SchNet <https://arxiv.org/abs/1706.08566>`_, on molecules and crystals.

    .. math::
        x_i \leftarrow x_i + \mathrm{MLP}\Bigl(\sum_j x_j \odot W(r_{ij})\, \tfrac12
        \bigl(1 + \cos\tfrac{\pi r_{ij}}{c}\bigr)\Bigr)

    The sum runs over every neighbour within the cutoff :math:`c`, images of the atom itself counted. Embedding,
    Gaussians and interaction blocks are those of :class:`torch_geometric.nn.SchNet`, whose weights fit by name, and
    whose energy this is for a molecule.

    Args:
        config: the defaults where it is not given
    """

    name = "schnet"
    elements = frozenset(range(1, _MAX_Z + 1))
    is_atomwise = is_local = is_extensive = is_smooth = True

    def __init__(self, config: SchNetConfig | None = None) -> None:
        super().__init__()
        config = config or SchNetConfig()
        self.config = config
        self.cutoff = config.cutoff
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
        self.lin2 = nn.Linear(width // 2, 1)
        for linear in (self.lin1, self.lin2):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def interaction_energy(self, graph: Data, vectors: Tensor) -> Tensor:
        return sum_by_structure(self.atomic_energies(graph, vectors), *structure_index(graph))

    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        lengths = vectors.norm(dim=-1)
        gaussians = self.distance_expansion(lengths)
        x = self.embedding(graph.z)
        for interaction in self.interactions:
            x = x + interaction(x, graph.edge_index, lengths, gaussians)
        return self.lin2(self.act(self.lin1(x))).squeeze(-1).double()
