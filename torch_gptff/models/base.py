"""Base class of energy models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from torch_gptff.errors import ConfigError, GraphError
from torch_gptff.graph import BondAngles, CrystalData, PeriodicRadiusGraph, VerletGraph
from torch_gptff.graph.checks import check_elements, check_graph
from torch_gptff.graph.fit import check_fit
from torch_gptff.graph.geometry import bond_vectors
from torch_gptff.graph.verlet_batch import VerletBatch
from torch_gptff.models.exchange import ALONE, Exchange
from torch_gptff.ops.transforms import outside_transforms, under_transform, unwrapped
from torch_gptff.postponed import unless_postponed


class GraphKeeper(Protocol):
    """Keeps the graph of one structure from step to step, as :class:`~torch_gptff.graph.VerletGraph` does."""

    def update(self, data: CrystalData) -> Data:
        """The structure with its graph."""

    def forget(self) -> None:
        """Begin anew with the next structure."""


class BatchKeeper(Protocol):
    """Keeps the graphs of a batch from step to step, as :class:`~torch_gptff.graph.verlet_batch.VerletBatch` does."""

    def update(self, data: CrystalData) -> Data:
        """The batch with its graph; structures beyond those of the last update have joined since."""

    def keep(self, which: Sequence[int]) -> None:
        """Remove all structures but those at some places, ascending."""


class EnergyModel(nn.Module, ABC):
    """A map from a graph to an energy. Forces and stress are taken of it by :class:`torch_gptff.Potential`.

    A subclass writes :meth:`interaction_energy`, whose geometry enters through the bond vectors only, and declares
    what it is; :mod:`torch_gptff.testing` holds it to every declaration.

    Attributes:
        name: name of the model in checkpoints and on the command line
        config: configuration that it was built from
        cutoff: cutoff radius of the bonds, Å
        angle_cutoff: cutoff radius of the bonds that form angles, Å; ``None`` for a model without angles
        elements: atomic numbers of its elements
        num_readouts: members of the committee that :meth:`member_energies` gives, ``K``
        is_energy: whether its output is an energy, from which forces follow, and not another property
        is_atomwise: the energy is a sum over atoms, and :meth:`atomic_energies` gives its terms
        is_local: an atom's energy depends on a finite neighbourhood only
        is_extensive: the energy of fragments out of each other's reach is the sum of their energies, and ``n`` cells
            of a crystal have ``n`` times the energy of one
        is_smooth: energy, forces and stress are continuous as a neighbour crosses a cutoff
        is_exportable: :func:`torch.export.export` can trace it, for structures of the sizes of the example
        can_exchange: it can run on several processes, each with a part of the atoms: its methods take an
            :class:`~torch_gptff.models.exchange.Exchange`
        exchange_width: largest number of values of an atom that are sent to other processes at once
    """

    name: ClassVar[str]
    config: Any
    cutoff: float
    angle_cutoff: float | None = None
    elements: frozenset[int]
    num_readouts: int = 1
    is_energy: bool = True
    is_atomwise: bool
    is_local: bool
    is_extensive: bool
    is_smooth: bool
    is_exportable: bool = True
    can_exchange: bool = False
    exchange_width: int = 0

    @abstractmethod
    def interaction_energy(self, graph: Data, vectors: Tensor) -> Tensor:
        """Energies without the elements' reference energies, in eV, ``[B]``, float64.

        Args:
            graph: atoms, bonds and, where ``angle_cutoff`` is set, angles
            vectors: the bond vectors in Å, ``[E, 3]``, in the dtype of the parameters
        """

    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        """The share of every atom in :meth:`interaction_energy`, in eV, ``[N]``, float64.

        Raises:
            NotImplementedError: the model's energy is not a sum over atoms.
        """
        raise NotImplementedError(f"the energy of this {type(self).__name__} is not a sum over atoms")

    def member_energies(self, graph: Data, vectors: Tensor, exchange: Exchange = ALONE) -> Tensor:
        """:meth:`atomic_energies` by every member of a committee whose mean they are, in eV, ``[N, K]``, float64.

        With an ``exchange`` between processes, those of the process's own atoms, ``[M, K]``.

        Raises:
            NotImplementedError: the model's energy is not a sum over atoms, or the model cannot exchange.
        """
        if exchange is not ALONE:
            raise NotImplementedError(f"this {type(self).__name__} does not run on several processes")
        return self.atomic_energies(graph, vectors).unsqueeze(-1)

    def energies_and_gradient(
        self, graph: Data, vectors: Tensor, exchange: Exchange = ALONE
    ) -> tuple[Tensor, Tensor, Tensor | None] | None:
        """:meth:`member_energies`, or :meth:`interaction_energy` as ``[B, 1]`` of a model whose energy is no sum over
        atoms, and the gradient of the sum of their means by ``vectors`` in eV/Å, ``[E, 3]``, where the model has a
        faster way to both than autograd, for this graph and as it is now; ``None`` otherwise. Third come its
        :meth:`node_features`, or ``None`` where this way does not keep them.

        With an ``exchange``, energies and features of the process's own atoms, and the gradient of the energy of all
        processes. All are cut off from the autograd graph.
        """
        return None

    def outputs(self, graph: Data, vectors: Tensor) -> Tensor:
        """Output of the model when it is called, ``[B, C]``, float64: the energies of :meth:`interaction_energy` in
        eV, or other numbers, where it has no energy."""
        return self.interaction_energy(graph, vectors).unsqueeze(-1)

    def node_features(self, graph: Data, vectors: Tensor) -> Tensor:
        """Features of atoms that its readout sees, ``[N, c]``.

        Raises:
            NotImplementedError: the model has no such features.
        """
        raise NotImplementedError(f"{type(self).__name__} has no features of atoms behind its layers")

    def embed(
        self,
        z: Tensor,
        pos: Tensor,
        batch: Tensor | None = None,
        cell: Tensor | None = None,
        pbc: Tensor | Sequence[bool] | bool | None = None,
    ) -> Tensor:
        """Features of atoms behind the layers, ``[N, c]``, for a head of one's own; arguments as of :meth:`forward`.

        Raises:
            NotImplementedError: see :meth:`node_features`.
        """
        graph = self.build_graph(CrystalData.from_tensors(z, pos, batch, cell, pbc))
        return self.node_features(graph, self.bond_vectors(graph))

    @property
    def property_kinds(self) -> Mapping[str, str]:
        """The properties that are predicted beside the energy, and their kinds."""
        return {}

    def energy_and_properties(self, graph: Data, vectors: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """:meth:`interaction_energy` and every property by name, float64; see
        :data:`torch_gptff.models.properties.KINDS` for their shapes."""
        return self.interaction_energy(graph, vectors), {}

    def require_energy(self) -> None:
        """Refuse a model that predicts another property.

        Raises:
            ConfigError: names the model, and what it takes for an energy.
        """
        if not self.is_energy:
            raise ConfigError(
                f"this {type(self).__name__} predicts no energy, so that it has no forces and no stress: an energy "
                "needs out_channels=1 and dipole=False; call the model itself, model(z, pos, batch)"
            )

    def graph_keeper(self, skin: float, backend: str | None = None) -> GraphKeeper:
        """A keeper of the graph of one structure from step to step.

        Args:
            skin: Å by which neighbours are searched farther than needed
            backend: backend of the neighbour search
        """
        return VerletGraph(self.cutoff, self.angle_cutoff, skin, backend)

    def batch_keeper(self, skin: float = 0.5, backend: str | None = None) -> BatchKeeper:
        """A keeper of the graphs of a batch of structures from step to step; arguments as of :meth:`graph_keeper`."""
        return VerletBatch(self.cutoff, self.angle_cutoff, skin, backend)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the parameters."""
        return next(self.parameters()).dtype

    def forward(
        self,
        z: Tensor,
        pos: Tensor,
        batch: Tensor | None = None,
        cell: Tensor | None = None,
        pbc: Tensor | Sequence[bool] | bool | None = None,
        *,
        edge_index: Tensor | None = None,
        edge_shift: Tensor | None = None,
        angle_index: Tensor | None = None,
    ) -> Tensor:
        """Energies of molecules and crystals, ``[B, 1]``, called as ``SchNet`` and ``DimeNet`` are in PyG; or what else
        the model was built to predict, ``[B, C]``.

        Args:
            z: atomic numbers, ``[N]``
            pos: positions in Å, ``[N, 3]``
            batch: the structure of every atom, ascending, ``[N]``
            cell: cell vectors as rows in Å, ``[B, 3, 3]``; ``None`` for molecules
            pbc: periodic directions, ``[B, 3]``; ``None`` means every direction where there is a ``cell``
            edge_index: bonds, ``[2, E]``, with ``edge_shift`` ``[E, 3]`` and ``angle_index`` ``[2, A]``, as
                :class:`~torch_gptff.graph.CrystalData` has them; what is not given is built

        Under :func:`torch.compile` the graph is built outside the compiled code. With a graph that is given,
        :func:`torch.export.export` takes the model too; neither checks that graph.

        Raises:
            StructureError: see :mod:`torch_gptff.graph.checks`.
            GraphError: shapes that do not fit together, or an export without a graph.
            ConfigError: the model cannot be exported.
        """
        graph = CrystalData.from_tensors(z, pos, batch, cell, pbc)
        if edge_index is not None:
            graph.edge_index = edge_index
            graph.edge_shift = edge_index.new_zeros(edge_index.size(1), 3) if edge_shift is None else edge_shift
        if angle_index is not None:
            graph.angle_index = angle_index
        if _is_exporting():
            self._check_export(graph)
        if not (torch.compiler.is_compiling() and self._is_complete(graph)):  # checks look at values, compilers cannot
            graph = self.build_graph(graph)
        return self.outputs(graph, self.bond_vectors(graph)).to(self.dtype)

    def _is_complete(self, graph: Data) -> bool:
        """Whether the record brings the bonds and angles that the model needs."""
        needed = ("edge_index", "edge_shift", *(() if self.angle_cutoff is None else ("angle_index",)))
        return all(graph.get(key) is not None for key in needed)

    def _check_export(self, graph: Data) -> None:
        if not self.is_exportable:
            raise ConfigError(
                f"torch.export cannot trace this {type(self).__name__}: the sizes of its tensors depend on where the "
                "atoms are; use torch.compile"
            )
        if not self._is_complete(graph):
            raise GraphError(
                "torch.export cannot trace the search for neighbours: give edge_index, edge_shift and, for a model "
                "with angles, angle_index, as build_graph() makes them"
            )

    @unless_postponed(torch.compiler.disable)
    def build_graph(self, data: Data, backend: str | None = None) -> Data:
        """The structure with its bonds and angles, built where they are missing, after a check of its elements.

        Bonds without ``edge_shift``, such as the chemical ones that PyG's molecules bring, are not taken for a graph.

        Raises:
            StructureError: see :mod:`torch_gptff.graph.checks`.
            GraphError: see :func:`~torch_gptff.graph.checks.check_graph` and :func:`~torch_gptff.graph.fit.check_fit`.
        """
        if under_transform():
            return self._build_outside_transforms(data, backend)
        check_elements(data, self.elements)
        if data.get("edge_index") is None or data.get("edge_shift") is None:
            data = PeriodicRadiusGraph(self.cutoff, backend)(data)
        else:
            check_graph(data)
            check_fit(data, self.cutoff, self.angle_cutoff)
        if self.angle_cutoff is not None and data.get("angle_index") is None:
            data = BondAngles(self.angle_cutoff)(data)
        return data

    def _build_outside_transforms(self, data: Data, backend: str | None) -> Data:
        """As :meth:`build_graph`, of the values that :mod:`torch.func` is differentiating."""
        plain = data.clone()
        for key, value in data.to_dict().items():
            if isinstance(value, Tensor):
                plain[key] = unwrapped(value).detach()
        with outside_transforms():
            graph = self.build_graph(plain, backend)
        for key in ("pos", "cell"):
            if data.get(key) is not None:
                graph[key] = data[key]
        return graph

    def bond_vectors(self, graph: Data) -> Tensor:
        """The graph's bond vectors in Å, ``[E, 3]``: taken in the dtype of ``pos``, then given in the model's."""
        return bond_vectors(graph).to(self.dtype)


def _is_exporting() -> bool:
    return torch.compiler.is_compiling() and getattr(torch.compiler, "is_exporting", lambda: False)()  # from torch 2.7
