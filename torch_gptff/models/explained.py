"""Energies as the explainers of PyG ask for them: of features of atoms, and of bonds that can be masked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing

from torch_gptff.errors import ConfigError
from torch_gptff.models.base import EnergyModel


class Explained(nn.Module):
    """A model called as ``model(x, edge_index)``, for :class:`torch_geometric.explain.Explainer`::

        explained = Explained(model, data)
        explainer = Explainer(
            explained, GNNExplainer(), "model", edge_mask_type="object", node_mask_type="object",
            model_config={"mode": "regression", "task_level": "graph", "return_type": "raw"},
        )
        explanation = explainer(explained.x, explained.edge_index)  # edge_mask [E], node_mask [N, 1]

    A mask of bonds acts on every message that a bond carries; with all bonds masked, the energy is that of the atoms
    alone, but for a softmax, which divides its weights among all neighbours before. A mask of atoms acts on the
    embedding of their elements. Angles have no masks of their own: their messages reach atoms through bonds.

    Args:
        model: any energy model whose messages are those of PyG's ``MessagePassing``
        data: one structure, or a batch; bonds and angles are built where it has none

    Attributes:
        graph: the structure with its bonds
        x: the embedding of every atom's element, ``[N, c]``
        edge_index: the bonds, ``[2, E]``

    Raises:
        ConfigError: the model has no embedding of elements, or no messages.
        StructureError, GraphError: see :meth:`EnergyModel.build_graph`.
    """

    def __init__(self, model: EnergyModel, data: Data) -> None:
        super().__init__()
        if not any(isinstance(module, MessagePassing) for module in model.modules()):
            raise ConfigError(f"{type(model).__name__} has no messages of bonds that an explainer could mask")
        self.model = model
        self.graph = model.build_graph(data)
        self._vectors = model.bond_vectors(self.graph).detach()
        self.x = _embedding(model)(self.graph.z).detach()

    @property
    def edge_index(self) -> Tensor:
        """The bonds, ``[2, E]``."""
        return self.graph.edge_index

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Outputs of the model ``[B, C]``, with ``x`` in place of the elements' embedding.

        Raises:
            ConfigError: ``edge_index`` is not that of the structure.
        """
        if not torch.equal(edge_index, self.edge_index):
            raise ConfigError("an explanation is of the bonds of the structure: give explained.edge_index")
        with _embedded(self.model, x):
            return self.model.outputs(self.graph, self._vectors).to(self.model.dtype)


@contextmanager
def _embedded(model: EnergyModel, x: Tensor) -> Iterator[None]:
    """A block in which every atom's element is embedded as ``x``."""

    def replaced(module: nn.Module, inputs: Any, result: Tensor) -> Tensor:
        return x

    hook = _embedding(model).register_forward_hook(replaced)
    try:
        yield
    finally:
        hook.remove()


def _embedding(model: EnergyModel) -> nn.Embedding:
    """The embedding of elements that a model begins with."""
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            return module
    raise ConfigError(f"{type(model).__name__} has no embedding of elements to mask")
