"""Energy, forces and stress of an energy model: the one place where derivatives are taken."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from torch_gptff.errors import (
    ConfigError,
    UncertainPredictionWarning,
    UnfamiliarCompositionWarning,
    UnknownReferenceError,
)
from torch_gptff.graph import CrystalData, structure_index
from torch_gptff.graph.convert import from_structure
from torch_gptff.graph.geometry import forces_from_bonds, stress_from_bonds
from torch_gptff.models import EnergyModel, PyGModel
from torch_gptff.models.exchange import ALONE, Exchange
from torch_gptff.nn import ElementEnergies, ReferenceEnergies, remove_generated_modules, sum_by_structure
from torch_gptff.prediction import Calibration, Prediction

FAR = 1.5
"""A structure is far from all that calibration saw where its uncertainty per atom is so many times
:attr:`~torch_gptff.prediction.Calibration.seen`."""


class Potential(nn.Module):
    """An energy model with the elements' reference energies: energy, forces and stress of crystals.

    Forces and stress come from one gradient of the energy by the bond vectors: see
    :func:`~torch_gptff.graph.geometry.forces_from_bonds` and :func:`~torch_gptff.graph.geometry.stress_from_bonds`.

    Args:
        model: any energy model; or ``SchNet``, ``DimeNet``, ``DimeNetPlusPlus`` or ``ViSNet`` of PyG, for molecules,
            see :class:`~torch_gptff.models.PyGModel`
        element_energies: reference energies in eV, by atomic number; zero by default

    Attributes:
        references: element energies of each source that the model was trained on, by name, for :meth:`use_reference`
        calibration: calibration of the uncertainties of a committee; ``None`` for one that was not calibrated, whose
            spread is
            given as it is
        seen_pairs: pairs of atomic numbers, the lesser first, that occurred together in a structure of the training
            data; ``None`` where that is not known
        provenance: JSON values that say where the weights come from

    Raises:
        ConfigError: the model predicts no energy, or is of another kind.
    """

    def __init__(
        self,
        model: EnergyModel | nn.Module,
        element_energies: ElementEnergies | Mapping[int, float] | Sequence[float] | Tensor | None = None,
    ) -> None:
        super().__init__()
        remove_generated_modules()
        if not isinstance(model, EnergyModel):
            model = PyGModel(model)
        model.require_energy()
        self.model: EnergyModel = model
        if not isinstance(element_energies, ElementEnergies):
            element_energies = ElementEnergies(element_energies)
        self.element_energies = element_energies
        self.references: dict[str, dict[int, float]] = {}
        self.calibration: Calibration | None = None
        self.seen_pairs: frozenset[tuple[int, int]] | None = None
        self._warned_of: set[tuple[int, int]] = set()
        self.provenance: dict[str, Any] = {}

    @property
    def reference(self) -> str | None:
        """The name of the reference that energies are given in; ``None`` for one without a name."""
        table = self.element_energies
        return table.name if isinstance(table, ReferenceEnergies) else None

    def speak(self, reference: str) -> Potential:
        """Old name of :meth:`use_reference`."""
        warnings.warn(
            "Potential.speak is now Potential.use_reference; the old name goes with the next version",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.use_reference(reference)

    def use_reference(self, reference: str) -> Potential:
        """Give energies relative to the reference of one of the sources from now on. Forces and stress stay the same.

        Functionals, pseudopotentials and codes count energies from references of their own, which differ by an energy
        for each element.

        Args:
            reference: one of :attr:`references`

        Returns:
            itself

        Raises:
            UnknownReferenceError: there is no such reference.
        """
        if reference not in self.references:
            there_are = ", ".join(sorted(self.references)) or "none but the one in use"
            raise UnknownReferenceError(f"the model has no reference {reference!r}; there are: {there_are}")
        size = len(self.element_energies.energies)
        table = ReferenceEnergies(reference, self.references[reference], size)
        self.element_energies = table.to(self.element_energies.energies.device)
        return self

    def warn_of_unseen_pairs(self, z: Tensor, name: str = "the structure") -> None:
        """Warn, as :class:`~torch_gptff.errors.UnfamiliarCompositionWarning`, of elements never seen together: once.

        Args:
            z: atomic numbers of one structure, ``[N]``
            name: name of the structure, for the message
        """
        if self.seen_pairs is None:
            return
        numbers = z.unique().tolist()
        unseen = [pair for pair in combinations(numbers, 2) if pair not in self.seen_pairs | self._warned_of]
        self._warned_of.update(unseen)
        if unseen:
            from ase.data import chemical_symbols

            pairs = ", ".join("–".join(chemical_symbols[number] for number in pair) for pair in unseen)
            warnings.warn(
                f"{name} has elements that no training structure of the model had together ({pairs}): expect larger "
                "errors, and check them",
                UnfamiliarCompositionWarning,
                stacklevel=3,
            )

    def doubt(self, energy_std: float, n_atoms: int) -> str | None:
        """Reason to doubt the stated uncertainty of a prediction; ``None`` where there is none.

        Calibrated uncertainties are reliable for structures like those of the calibration.

        Args:
            energy_std: uncertainty of the energy of the structure, eV
            n_atoms: number of its atoms
        """
        seen = None if self.calibration is None else self.calibration.seen
        if seen is None or energy_std <= FAR * seen * n_atoms:
            return None
        return (
            f"its energy is uncertain by {energy_std / n_atoms:.2g} eV/atom, and those of nearly all structures that "
            f"the model was calibrated on by less than {seen:.2g}: the model knows nothing like it"
        )

    def warn_of_doubt(self, energy_std: float, z: Tensor, name: str = "the structure") -> None:
        """Warn of a structure whose uncertainty is beyond that of the calibration frames, see :meth:`doubt`.

        Args:
            energy_std: uncertainty of the energy of the structure, eV
            z: atomic numbers of the structure, ``[N]``
            name: name of the structure, for the message
        """
        doubt = self.doubt(energy_std, len(z))
        if doubt is not None:
            from ase.symbols import Symbols

            formula = Symbols(z.cpu().numpy()).formula.format("metal")
            warnings.warn(f"{name} ({formula}): {doubt}", UncertainPredictionWarning, stacklevel=3)

    def forward(
        self,
        data: Data,
        *,
        forces: bool = True,
        stress: bool = True,
        energies: bool = False,
        energy_std: bool = False,
        forces_std: bool = False,
        properties: bool = False,
        create_graph: bool = False,
    ) -> Prediction:
        """Predict one record, of one structure or a batch; bonds and angles are built where it has none.

        Args:
            data: a :class:`~torch_gptff.graph.CrystalData` or a batch of them
            forces: whether to give forces
            stress: whether to give stress
            energies: whether to give atomic energies
            energy_std: whether to give the uncertainty of the energy, at hardly any cost
            forces_std: whether to give the uncertainty of forces, at the cost of a gradient for each member
            properties: whether to give the properties that the model predicts beside the energy
            create_graph: keep everything differentiable, by parameters, ``pos`` and ``cell``: for training on forces
                and stress, or for second derivatives. Without it, a prediction with forces or stress is cut off from
                the autograd graph

        Raises:
            StructureError, GraphError: see :meth:`EnergyModel.build_graph`.
            UnsupportedElementError: the reference has no energy of an element.
            NotImplementedError: atomic energies of a model that has none, or the uncertainty of one that is no
                committee.
        """
        graph = self.model.build_graph(data)
        return self.evaluate(
            graph,
            forces=forces,
            stress=stress,
            energies=energies,
            energy_std=energy_std,
            forces_std=forces_std,
            properties=properties,
            create_graph=create_graph,
        )

    def evaluate(
        self,
        graph: Data,
        *,
        forces: bool = True,
        stress: bool = True,
        energies: bool = False,
        energy_std: bool = False,
        forces_std: bool = False,
        properties: bool = False,
        create_graph: bool = False,
    ) -> Prediction:
        """Predict as :meth:`forward`, for a record whose graph is complete and whose elements the model has.

        Raises:
            ConfigError: the model was made under ``torch.inference_mode``, and derivatives are asked for.
        """
        derivatives = forces or stress or forces_std
        made_for_inference = graph.pos.is_inference() or graph.edge_index.is_inference()
        if derivatives and (torch.is_inference_mode_enabled() or made_for_inference):
            if next(self.parameters()).is_inference():
                raise ConfigError("the model was made under torch.inference_mode, where nothing can be differentiated, "
                                  "and forces and stress are derivatives: make it outside")  # fmt: skip
            with torch.inference_mode(False), torch.no_grad():
                return self.evaluate(
                    graph.clone(),  # outside the mode, a copy can be differentiated
                    forces=forces,
                    stress=stress,
                    energies=energies,
                    energy_std=energy_std,
                    forces_std=forces_std,
                    properties=properties,
                    create_graph=create_graph,
                )
        batch, n_structures = structure_index(graph)
        reference = self.element_energies(graph.z)
        derivatives = forces or stress or forces_std
        wants_std = energy_std or forces_std
        properties = properties and bool(self.model.property_kinds)
        if derivatives and not (
            create_graph or forces_std or properties or (wants_std and self.model.num_readouts == 1)
        ):
            fast = self._without_autograd(graph, reference, forces, stress, energies, energy_std)
            if fast is not None:
                return fast
        with torch.set_grad_enabled(derivatives or torch.is_grad_enabled()):
            vectors = self.model.bond_vectors(graph)
            if derivatives and not vectors.requires_grad:
                vectors.requires_grad_()
            found: dict[str, Tensor] = {}
            atomic: Tensor | None = None
            members: Tensor | None = None
            if properties:
                interaction, found = self.model.energy_and_properties(graph, vectors)
            if not properties or energies or wants_std:
                interaction, atomic, members = self._interaction(graph, vectors, energies, wants_std)
        by_member = gradient = None
        if forces_std:
            assert members is not None
            by_member = self._gradients(members, vectors, create_graph)
            gradient = by_member.mean(0)
        elif derivatives:
            gradient = self._gradient(interaction, vectors, create_graph)
        features = self._features_of_errors(graph, vectors) if energy_std else None
        if derivatives and not create_graph:
            vectors, interaction = vectors.detach(), interaction.detach()
            atomic, members = _detached(atomic), _detached(members)
            found = {name: value.detach() for name, value in found.items()}
        of_atoms = {name for name, kind in self.model.property_kinds.items() if kind == "atom"}
        calibration = self.calibration or Calibration()
        return Prediction(
            energy=interaction + sum_by_structure(reference, batch, n_structures),
            forces=None
            if gradient is None or not forces
            else forces_from_bonds(gradient, graph.edge_index, len(batch)),
            stress=None if gradient is None or not stress else stress_from_bonds(gradient, vectors, graph),
            energies=None if atomic is None or not energies else atomic + reference,
            energy_std=None if members is None or not energy_std else self._energy_std(members, features, batch),
            forces_std=None
            if by_member is None
            else calibration.forces * _spread_of_forces(by_member, graph.edge_index, len(batch)),
            properties={name: value for name, value in found.items() if name not in of_atoms},
            atom_properties={name: value for name, value in found.items() if name in of_atoms},
        )

    def energies_and_gradient(self, graph: Data, vectors: Tensor, exchange: Exchange = ALONE) -> tuple[Tensor, Tensor]:
        """Energies and gradients for programs that compute forces and stress from them. The parameters must be frozen.

        The energies are those of a process's own atoms in eV, ``[M]``, float64; the gradient is that of the energy of
        all processes by the bond vectors, in eV/Å, ``[E, 3]``.

        Args:
            graph: atomic numbers, bonds and angles of one structure, or of the part that the process sees
            vectors: bond vectors, Å, ``[E, 3]``, in the dtype of the model
            exchange: between the processes that share the structure

        Raises:
            NotImplementedError: see :meth:`EnergyModel.member_energies`.
        """
        reference = self.element_energies(exchange.own(graph.z))
        found = None
        if self.model.is_atomwise:
            with torch.no_grad():
                found = self.model.energies_and_gradient(graph, vectors, exchange)
        if found is not None:
            members, gradient, _ = found
            return members.mean(1) + reference, gradient
        with torch.enable_grad():
            vectors = vectors.detach().requires_grad_()
            of_atoms = self.model.member_energies(graph, vectors, exchange).mean(1)
        return of_atoms.detach() + reference, self._gradient(of_atoms, vectors, create_graph=False)

    def _without_autograd(
        self, graph: Data, reference: Tensor, forces: bool, stress: bool, energies: bool, energy_std: bool
    ) -> Prediction | None:
        """Predict as :meth:`evaluate`, where the model computes energy and gradient faster than autograd."""
        if energies and not self.model.is_atomwise:
            return None
        with torch.no_grad():
            vectors = self.model.bond_vectors(graph)
            found = self.model.energies_and_gradient(graph, vectors)
            if found is None:
                return None
            members, gradient, features = found
            if energy_std and features is None:
                features = self._features_of_errors(graph, vectors)
            batch, n_structures = structure_index(graph)
            if not self.model.is_atomwise:
                energy = members.squeeze(1) + sum_by_structure(reference, batch, n_structures)
            else:
                of_atoms = members.mean(1) + reference
                energy = sum_by_structure(of_atoms, batch, n_structures)
                of_structures = sum_by_structure(members, batch, n_structures)
            return Prediction(
                energy=energy,
                forces=forces_from_bonds(gradient, graph.edge_index, len(batch)) if forces else None,
                stress=stress_from_bonds(gradient, vectors, graph) if stress else None,
                energies=of_atoms if energies else None,
                energy_std=self._energy_std(of_structures, features, batch) if energy_std else None,
            )

    def _features_of_errors(self, graph: Data, vectors: Tensor) -> Tensor | None:
        """Features of atoms ``[N, C]`` that expected errors are told from, where the calibration has such errors."""
        if self.calibration is None or self.calibration.errors is None:
            return None
        with torch.no_grad():
            return self.model.node_features(graph, vectors.detach())

    def _energy_std(self, members: Tensor, features: Tensor | None, batch: Tensor) -> Tensor:
        """Expected errors of energies in eV, ``[B]``, of energies by each member, ``[B, K]``, and features of atoms."""
        calibration = self.calibration or Calibration()
        if calibration.errors is None or features is None:
            return calibration.energy * members.std(1)
        return calibration.energy * calibration.errors.to(features.device)(features, batch, len(members))

    def _interaction(
        self, graph: Data, vectors: Tensor, energies: bool, committee: bool
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Energies without references in eV: of structures ``[B]``, of atoms ``[N]``, by each member ``[B, K]``."""
        structures = structure_index(graph)
        if committee:
            if self.model.num_readouts == 1:
                raise NotImplementedError("the model has one readout: only several can differ and tell an uncertainty")
            of_atoms = self.model.member_energies(graph, vectors)
            members = sum_by_structure(of_atoms, *structures)
            return members.mean(1), of_atoms.mean(1), members
        if energies:
            atomic = self.model.atomic_energies(graph, vectors)
            return sum_by_structure(atomic, *structures), atomic, None
        return self.model.interaction_energy(graph, vectors), None, None

    @staticmethod
    def _gradient(energy: Tensor, vectors: Tensor, create_graph: bool) -> Tensor:
        """``∂E/∂r`` of every bond in eV/Å, ``[E, 3]``."""
        one = torch.ones_like(energy)
        (gradient,) = torch.autograd.grad(energy, vectors, one, create_graph=create_graph, materialize_grads=True)
        return gradient

    @staticmethod
    def _gradients(members: Tensor, vectors: Tensor, create_graph: bool) -> Tensor:
        """``∂E/∂r`` of every bond in eV/Å by each member, ``[K, E, 3]``."""
        gradients: list[Tensor] = []
        for member, energy in enumerate(members.sum(0).unbind()):
            keep = create_graph or member < members.size(1) - 1
            gradients += torch.autograd.grad(
                energy, vectors, retain_graph=keep, create_graph=create_graph, materialize_grads=True
            )
        return torch.stack(gradients)

    def predict(
        self,
        structures: Iterable[Any],
        *,
        forces: bool = True,
        stress: bool = True,
        energies: bool = False,
        energy_std: bool = False,
        forces_std: bool = False,
        properties: bool = False,
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
            energy_std: whether to give the uncertainty of the energy
            forces_std: whether to give the uncertainty of forces, at the cost of a gradient for each member
            properties: whether to give the properties that the model predicts beside the energy
            max_bonds: largest number of bonds in a batch
            max_angles: largest number of angles in a batch

        Raises:
            StructureError: names what is wrong with a structure, and its place in the list.
            NotImplementedError: see :meth:`forward`.
        """
        device = next(self.parameters()).device
        results: list[Prediction] = []
        with _for_inference(self):
            for graphs in self._batches(structures, device, max_bonds, max_angles):
                batch = graphs[0] if len(graphs) == 1 else Batch.from_data_list(graphs)
                prediction = self.evaluate(
                    batch,
                    forces=forces,
                    stress=stress,
                    energies=energies,
                    energy_std=energy_std,
                    forces_std=forces_std,
                    properties=properties,
                )
                found = prediction.to("cpu").split([len(graph.z) for graph in graphs])
                for number, (graph, one) in enumerate(zip(graphs, found, strict=True), start=len(results)):
                    if one.energy_std is not None:
                        self.warn_of_doubt(one.energy_std.item(), graph.z, f"structure {number} of the list")
                results += found
        return results

    def predict_graph(self, graph: Data, *, energy_std: bool = False) -> Prediction:
        """Energy, forces and stress of a record whose graph is complete, for the workflows that keep one.

        As :meth:`evaluate`, in evaluation mode; on the device of the potential.

        Args:
            graph: one structure or a batch
            energy_std: whether to give the uncertainty of the energy
        """
        with _for_inference(self):
            return self.evaluate(graph, energy_std=energy_std)

    def _batches(
        self, structures: Iterable[Any], device: torch.device, max_bonds: int, max_angles: int
    ) -> Iterator[list[CrystalData]]:
        group: list[CrystalData] = []
        bonds = angles = 0
        for number, structure in enumerate(structures):
            try:
                data = from_structure(structure)
                graph = self.model.build_graph(_without_labels(data).to(device))
                self.element_energies(graph.z)
            except ValueError as error:
                raise type(error)(f"structure {number} of the list: {error}") from error
            self.warn_of_unseen_pairs(data.z, f"structure {number} of the list")
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
    """Set evaluation mode and freeze parameters for the duration of a block."""
    training = [each for each in module.modules() if each.training]
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        for each in training:
            each.training = False
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for each in training:
            each.training = True
        for parameter in trained:
            parameter.requires_grad_()


def _detached(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.detach()


def _spread_of_forces(gradients: Tensor, edge_index: Tensor, n_atoms: int) -> Tensor:
    """The standard deviation over the members of a component of each atom's force, in eV/Å, ``[N]``, float64.

    The mean square over the three components: it does not turn with the structure.
    """
    forces = torch.stack([forces_from_bonds(gradient, edge_index, n_atoms) for gradient in gradients])
    return forces.double().var(0).mean(-1).sqrt()


def _without_labels(data: CrystalData) -> CrystalData:
    """The record without labels, so that records with different labels form one batch."""
    keys = ("z", "pos", "cell", "pbc", "edge_index", "edge_shift", "angle_index")
    return CrystalData(**{key: data[key] for key in keys if key in data})
