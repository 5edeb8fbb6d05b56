"""Base class of the baselines, whose output is the sum or mean of the values of atoms."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.graph import structure_index
from torch_gptff.models.base import EnergyModel
from torch_gptff.models.hub import HubModel
from torch_gptff.models.model_config import Configured
from torch_gptff.models.output import Output
from torch_gptff.nn import sum_by_structure


class AtomwiseModel(Configured, HubModel, EnergyModel):
    """A model with :meth:`atomic_values`, built from a configuration with an output and a ``readout``.

    Args:
        config: the defaults where it is not given
        settings: fields of the configuration by name, or by one of :attr:`setting_names`; they replace those of
            ``config``

    Raises:
        ConfigError: a setting is unknown, given twice, or out of range.
    """

    setting_names: ClassVar[Mapping[str, str]] = {}
    known_z: ClassVar[frozenset[int]]
    mean_of_structure: ClassVar[bool] = False
    is_local = is_smooth = True

    def __init__(self, config: Any = None, **settings: Any) -> None:
        super().__init__()
        self.config = config = self.settled(config, settings)
        self.cutoff = config.cutoff
        self.elements = config.known_elements(self.known_z)
        self._add_layers(config)
        self.output = Output(config, config.readout == "mean", self.mean_of_structure)
        self.is_energy = self.output.is_energy
        self.is_atomwise = self.is_extensive = self.output.is_sum
        self.is_local = self.output.is_sum

    @abstractmethod
    def _add_layers(self, config: Any) -> None:
        """Make the layers of the network."""

    @abstractmethod
    def atomic_values(self, graph: Data, vectors: Tensor) -> Tensor:
        """Numbers of every atom by the network, ``[N, C]``."""

    def outputs(self, graph: Data, vectors: Tensor) -> Tensor:
        values = self.atomic_values(graph, vectors)
        if self.config.dipole:
            return self.output.dipole(values.squeeze(-1), graph)
        return self.output(sum_by_structure(values, *structure_index(graph)), graph)

    def interaction_energy(self, graph: Data, vectors: Tensor) -> Tensor:
        self.require_energy()
        return self.outputs(graph, vectors).squeeze(-1)

    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        if not self.is_atomwise:
            return super().atomic_energies(graph, vectors)
        return self.output.of_atoms(self.atomic_values(graph, vectors).squeeze(-1), graph.z)
