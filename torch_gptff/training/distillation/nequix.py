"""A potential of the package nequix as an ASE calculator that takes many structures at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from torch import Tensor
from torch_geometric.data import Batch, Data

from torch_gptff.errors import DistillationError
from torch_gptff.graph import CrystalData, PeriodicRadiusGraph, structure_index
from torch_gptff.graph.checks import check_elements
from torch_gptff.graph.geometry import bond_vectors, forces_from_bonds, stress_from_bonds
from torch_gptff.nn import sum_by_structure
from torch_gptff.prediction import Prediction


class NequixCalculator(Calculator):
    """Energy, forces and stress of a Nequix model (`arXiv:2508.16067 <https://arxiv.org/abs/2508.16067>`_).

    One gradient by the bond vectors of a whole batch gives forces and stresses of all its structures.

    Args:
        path: the model in the format of nequix for PyTorch, ``.pt``
        device: where it computes; by default on the CPU
        max_bonds: largest number of bonds of structures that are computed together

    Raises:
        DistillationError: the file is missing, or is not such a model.
        ImportError: the package nequix is not installed.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, path: str | Path, device: str | None = None, max_bonds: int = 6000) -> None:
        super().__init__()
        if not Path(path).is_file():
            raise DistillationError(f"no file {path} with a potential of nequix")
        load_model: Any = import_module("nequix.torch_impl.model").load_model
        try:
            model, config = load_model(str(path), False)
        except (UnicodeDecodeError, ValueError, KeyError, RuntimeError) as error:
            raise DistillationError(f"{path} is not a model of nequix for PyTorch, or damaged ({error})") from error
        self.model = model.to(device or "cpu").eval().requires_grad_(False)
        self.graph = PeriodicRadiusGraph(float(config["cutoff"]))
        self.elements = frozenset(map(int, config["atomic_numbers"]))
        self.species = torch.full((119,), -1)
        self.species[sorted(self.elements)] = torch.arange(len(self.elements))
        self.device = device or "cpu"
        self.max_bonds = max_bonds

    def calculate(self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        (prediction,) = self.predict([self.atoms])
        assert prediction.forces is not None
        assert prediction.stress is not None
        energy = float(prediction.energy)
        self.results = {"energy": energy, "free_energy": energy, "forces": prediction.forces.double().numpy()}
        if self.atoms.cell.rank == 3:
            self.results["stress"] = full_3x3_to_voigt_6_stress(prediction.stress[0].numpy())

    def predict(self, structures: Sequence[Atoms]) -> list[Prediction]:
        """Predictions of the model for each structure.

        Raises:
            UnsupportedElementError, StructureError: it has no energy of a structure.
        """
        graphs = [self._graph(atoms) for atoms in structures]
        predictions: list[Prediction] = []
        for batch in self._batches(graphs):
            predictions += self._evaluated(batch).split([len(graph.z) for graph in batch.to_data_list()])
        return predictions

    def _graph(self, atoms: Atoms) -> CrystalData:
        data = CrystalData.from_ase(atoms)
        check_elements(data, self.elements)
        graph: CrystalData = self.graph(data)
        return graph

    def _batches(self, graphs: Sequence[CrystalData]) -> Iterator[Batch]:
        taken: list[CrystalData] = []
        for graph in graphs:
            if taken and sum(each.num_edges for each in taken) + graph.num_edges > self.max_bonds:
                yield Batch.from_data_list(taken)
                taken = []
            taken.append(graph)
        if taken:
            yield Batch.from_data_list(taken)

    def _evaluated(self, batch: Data) -> Prediction:
        vectors = bond_vectors(batch)
        energies, gradient = self._energies_and_gradient(batch, vectors)
        atom, n_structures = structure_index(batch)
        return Prediction(
            energy=sum_by_structure(energies.double(), atom, n_structures),
            forces=forces_from_bonds(gradient, batch.edge_index, len(batch.z)),
            stress=stress_from_bonds(gradient, vectors, batch),
        )

    def _energies_and_gradient(self, batch: Data, vectors: Tensor) -> tuple[Tensor, Tensor]:
        neighbour, centre = batch.edge_index.to(self.device)
        with torch.enable_grad():
            moving = vectors.float().to(self.device).requires_grad_()
            energies = self.model.node_energies(moving, self.species[batch.z].to(self.device), neighbour, centre)
            energies = energies.reshape(-1)
            (gradient,) = torch.autograd.grad(energies.sum(), moving, allow_unused=True, materialize_grads=True)
        return energies.detach().cpu(), gradient.cpu()
