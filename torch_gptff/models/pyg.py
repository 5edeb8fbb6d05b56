"""Models of PyG as energy models: on molecules, as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from torch_gptff.errors import ConfigError, StructureError
from torch_gptff.graph import CrystalData, structure_index
from torch_gptff.graph.checks import check_distances, check_elements, check_geometry
from torch_gptff.graph.transforms import _as_crystal
from torch_gptff.models.base import EnergyModel

MODELS = ("SchNet", "DimeNet", "DimeNetPlusPlus", "ViSNet")
"""Classes of :mod:`torch_geometric.nn` that are called as ``model(z, pos, batch)`` and give an energy."""


class PyGModel(EnergyModel):
    """An energy model of PyG, called as ``model(z, pos, batch)``, in place of one of this package; for molecules.

    Its parameters and its graph are its own, with its limit on the number of neighbours. Geometry reaches it through
    the vectors from the first atom of every molecule to each of the others, which say where all atoms are.

    Args:
        model: ``SchNet``, ``DimeNet``, ``DimeNetPlusPlus`` or ``ViSNet`` of PyG; used, not copied

    Raises:
        ConfigError: it is none of these, or predicts something else than an energy.
    """

    name = "pyg"
    config = None
    cutoff = float("inf")
    is_atomwise = is_local = is_extensive = is_smooth = is_exportable = False

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if not is_pyg_model(model):
            raise ConfigError(
                f"{type(model).__name__} is no energy model: Potential takes those of torch_gptff.models, subclasses "
                f"of EnergyModel, and {', '.join(MODELS)} of torch_geometric.nn"
            )
        out_channels = [block.lin.out_features for block in getattr(model, "output_blocks", ())]
        if getattr(model, "dipole", False) or any(number != 1 for number in out_channels):
            raise ConfigError(f"this {type(model).__name__} predicts no energy: call the model itself, without a "
                              "Potential")  # fmt: skip
        self.model = model
        tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
        self.elements = frozenset(range(1, min(table.num_embeddings for table in tables)))

    def build_graph(self, data: Data, backend: str | None = None) -> Data:
        """The molecules, each with a vector from its first atom to every other one in place of bonds.

        Raises:
            StructureError: a structure is periodic, or see :mod:`torch_gptff.graph.checks`.
        """
        check_elements(data, self.elements)
        data = _as_crystal(data)
        if data.get("cell") is None or data.get("pbc") is None:
            molecules = CrystalData.from_tensors(data.z, data.pos, data.get("batch"))
            data.cell, data.pbc = molecules.cell, molecules.pbc
        check_geometry(data)
        if bool(data.pbc.any()):
            raise StructureError(
                f"{type(self.model).__name__} of PyG knows molecules alone, and a structure is periodic: set "
                "pbc=False, or take the model of the same name from torch_gptff.models"
            )
        batch, n_structures = structure_index(data)
        first = torch.searchsorted(batch, torch.arange(n_structures, device=batch.device))[batch]
        others = (first != torch.arange(len(batch), device=batch.device)).nonzero().squeeze(-1)
        edge_index = torch.stack([others, first[others]])
        lengths = (data.pos[edge_index[0]] - data.pos[edge_index[1]]).detach().norm(dim=-1)
        check_distances(data, edge_index, lengths)
        data.edge_index, data.edge_shift = edge_index, edge_index.new_zeros(len(others), 3)
        return data

    def graph_keeper(self, skin: float, backend: str | None = None) -> MoleculeGraph:
        return MoleculeGraph(self)

    def batch_keeper(self, skin: float = 0.5, backend: str | None = None) -> MoleculeGraph:
        return MoleculeGraph(self)

    def interaction_energy(self, graph: Data, vectors: Tensor) -> Tensor:
        batch, _ = structure_index(graph)
        others, first = graph.edge_index
        pos = graph.pos.detach().to(vectors.dtype)
        pos = pos.index_copy(0, others, pos[first] + vectors)
        out: Any = self.model(graph.z, pos, batch)
        energy = out[0] if isinstance(out, tuple) else out  # ViSNet gives its derivative as well
        return energy.double().reshape(-1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"


class MoleculeGraph:
    """Makes the record of molecules for a :class:`PyGModel` anew at every step."""

    def __init__(self, model: PyGModel) -> None:
        self._model = [model]  # not a part of it

    def update(self, data: CrystalData) -> Data:
        """The molecules with their graph."""
        return self._model[0].build_graph(data)

    def forget(self) -> None:
        """Do nothing: no molecule is remembered."""

    def keep(self, which: Sequence[int]) -> None:
        """Do nothing: no molecule is remembered."""


def is_pyg_model(model: object) -> bool:
    """Whether an object is an energy model of PyG."""
    import torch_geometric.nn

    return isinstance(model, tuple(getattr(torch_geometric.nn, name) for name in MODELS))
