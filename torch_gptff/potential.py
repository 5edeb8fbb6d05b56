"""From an energy model to energy, forces and stress: the one place where derivatives are taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from torch_gptff.graph import CrystalData, structure_index
from torch_gptff.graph.convert import from_structure
from torch_gptff.graph.geometry import forces_from_bonds, stress_from_bonds
from torch_gptff.models import EnergyModel
from torch_gptff.nn import ElementEnergies, sum_by_structure


@dataclass(frozen=True)
class Prediction:
    """What is known of ``B`` structures of ``N`` atoms together. What was not asked for is ``None``.

    Attributes:
        energy: eV, ``[B]``, float64
        forces: eV/Å, ``[N, 3]``
        stress: eV/Å³, positive = tensile, ``[B, 3, 3]``, float64; NaN where a structure has no volume
        energies: the atoms' shares of ``energy`` in eV, ``[N]``, float64; ``None`` for a model without such shares
    """

    energy: Tensor
    forces: Tensor | None = None
    stress: Tensor | None = None
    energies: Tensor | None = None

    def split(self, n_atoms: Sequence[int]) -> list[Prediction]:
        """One prediction (``B = 1``) for each structure, given their numbers of atoms."""

        def pieces(values: Tensor | None, sizes: Sequence[int]) -> Sequence[Tensor | None]:
            return [None] * len(sizes) if values is None else values.split(list(sizes))

        one_each = [1] * len(n_atoms)
        columns = (
            pieces(self.energy, one_each),
            pieces(self.forces, n_atoms),
            pieces(self.stress, one_each),
            pieces(self.energies, n_atoms),
        )
        return [Prediction(*row) for row in zip(*columns, strict=True)]  # type: ignore[arg-type]

    def to(self, device: torch.device | str) -> Prediction:
        """The same on another device, cut off from the autograd graph."""
        values = (_detached(value) for value in (self.energy, self.forces, self.stress, self.energies))
        return Prediction(*(None if value is None else value.to(device) for value in values))  # type: ignore[arg-type]


class Potential(nn.Module):
    """An energy model with the elements' reference energies: energy, forces and stress of crystals.

    Forces and stress come from one gradient of the energy by the bond vectors: see
    :func:`~torch_gptff.graph.geometry.forces_from_bonds` and :func:`~torch_gptff.graph.geometry.stress_from_bonds`.

    Args:
        model: any energy model
        element_energies: reference energies in eV, by atomic number; zero by default
    """

    def __init__(
        self,
        model: EnergyModel,
        element_energies: ElementEnergies | Mapping[int, float] | Sequence[float] | Tensor | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        if not isinstance(element_energies, ElementEnergies):
            element_energies = ElementEnergies(element_energies)
        self.element_energies = element_energies
        self.provenance: dict[str, Any] = {}

    def forward(
        self,
        data: Data,
        *,
        forces: bool = True,
        stress: bool = True,
        energies: bool = False,
        create_graph: bool = False,
    ) -> Prediction:
        """Predict one record, of one structure or a batch; bonds and angles are built where it has none.

        Args:
            data: a :class:`~torch_gptff.graph.CrystalData` or a batch of them
            forces: whether to give forces
            stress: whether to give stress
            energies: whether to give atomic energies
            create_graph: keep everything differentiable, by parameters, ``pos`` and ``cell``: for training on forces
                and stress, or for second derivatives. Without it, a prediction with forces or stress is cut off from
                the autograd graph

        Raises:
            StructureError, GraphError: see :meth:`EnergyModel.build_graph`.
            NotImplementedError: atomic energies of a model that has none.
        """
        graph = self.model.build_graph(data)
        return self.evaluate(graph, forces=forces, stress=stress, energies=energies, create_graph=create_graph)

    def evaluate(
        self,
        graph: Data,
        *,
        forces: bool = True,
        stress: bool = True,
        energies: bool = False,
        create_graph: bool = False,
    ) -> Prediction:
        """As :meth:`forward`, of a record whose graph is complete and whose elements are known to the model."""
        batch, n_structures = structure_index(graph)
        derivatives = forces or stress
        with torch.set_grad_enabled(derivatives or torch.is_grad_enabled()):
            vectors = self.model.bond_vectors(graph)
            if derivatives and not vectors.requires_grad:
                vectors.requires_grad_()
            atomic = self.model.atomic_energies(graph, vectors) if energies else None
            interaction = (
                self.model.interaction_energy(graph, vectors)
                if atomic is None
                else sum_by_structure(atomic, batch, n_structures)
            )
        reference = self.element_energies(graph.z)
        gradient = self._gradient(interaction, vectors, create_graph) if derivatives else None
        if derivatives and not create_graph:
            vectors, interaction, atomic = vectors.detach(), interaction.detach(), _detached(atomic)
        return Prediction(
            energy=interaction + sum_by_structure(reference, batch, n_structures),
            forces=forces_from_bonds(gradient, graph.edge_index, len(batch))
            if gradient is not None and forces
            else None,
            stress=stress_from_bonds(gradient, vectors, graph) if gradient is not None and stress else None,
            energies=None if atomic is None else atomic + reference,
        )

    @staticmethod
    def _gradient(energy: Tensor, vectors: Tensor, create_graph: bool) -> Tensor:
        """``∂E/∂r`` of every bond in eV/Å, ``[E, 3]``."""
        (gradient,) = torch.autograd.grad(energy.sum(), vectors, create_graph=create_graph, materialize_grads=True)
        return gradient

    def predict(
        self,
        structures: Iterable[Any],
        *,
        forces: bool = True,
        stress: bool = True,
        energies: bool = False,
        max_bonds: int = 60_000,
        max_angles: int = 120_000,
    ) -> list[Prediction]:
        """Predict many structures, in the order given, one result each, on the CPU.

        Structures are put together into batches of at most ``max_bonds`` bonds and ``max_angles`` angles, which is
        what memory is spent on; one that is larger by itself makes a batch of its own.

        Args:
            structures: ASE ``Atoms``, pymatgen ``Structure`` or ``Molecule``, or ``CrystalData``, in any mixture
            forces: whether to give forces
            stress: whether to give stress
            energies: whether to give atomic energies
            max_bonds: of one batch
            max_angles: of one batch

        Raises:
            StructureError: names what is wrong with a structure, and its place in the list.
        """
        device = next(self.parameters()).device
        results: list[Prediction] = []
        with _for_inference(self):
            for graphs in self._batches(structures, device, max_bonds, max_angles):
                batch = Batch.from_data_list(graphs)
                prediction = self.evaluate(batch, forces=forces, stress=stress, energies=energies)
                results += prediction.to("cpu").split([len(graph.z) for graph in graphs])
        return results

    def _batches(
        self, structures: Iterable[Any], device: torch.device, max_bonds: int, max_angles: int
    ) -> Iterator[list[CrystalData]]:
        group: list[CrystalData] = []
        bonds = angles = 0
        for number, structure in enumerate(structures):
            try:
                data = from_structure(structure)
                graph = self.model.build_graph(_without_labels(data).to(device))
            except ValueError as error:
                raise type(error)(f"structure {number} of the list: {error}") from error
            more_bonds = graph.edge_index.size(1)
            more_angles = 0 if graph.get("angle_index") is None else graph.angle_index.size(1)
            if group and (bonds + more_bonds > max_bonds or angles + more_angles > max_angles):
                yield group
                group, bonds, angles = [], 0, 0
            group.append(graph)
            bonds, angles = bonds + more_bonds, angles + more_angles
        if group:
            yield group

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"


@contextmanager
def _for_inference(module: nn.Module) -> Iterator[None]:
    """In evaluation mode and with frozen parameters, for as long as the block lasts."""
    was_training = module.training
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    module.eval().requires_grad_(False)
    try:
        yield
    finally:
        module.train(was_training)
        for parameter in trained:
            parameter.requires_grad_()


def _detached(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.detach()


def _without_labels(data: CrystalData) -> CrystalData:
    """Atoms and graph alone: records with different labels then make one batch."""
    keys = ("z", "pos", "cell", "pbc", "edge_index", "edge_shift", "angle_index")
    return CrystalData(**{key: data[key] for key in keys if key in data})
