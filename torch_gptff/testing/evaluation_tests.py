"""A result depends on the structure alone: not on its batch, its dtype, its graph's maker, or an earlier call."""

from __future__ import annotations

from copy import deepcopy
from typing import ClassVar

import pytest
import torch
from ase import Atoms
from torch_geometric.data import Batch

from torch_gptff.errors import UnsupportedElementError
from torch_gptff.potential import Potential
from torch_gptff.testing.common import (
    FullPrediction,
    PotentialTests,
    assert_close,
    has_volume,
    predict,
    predict_one,
    record,
)


class EvaluationTests(PotentialTests):
    """Tests of calls of a potential and of their results.

    Attributes:
        float32_energy: how far the energy in float32 may be from that in float64, eV per atom
        float32_forces: the same for forces and stress, eV/Å and eV/Å³ and relative to the largest
    """

    float32_energy: ClassVar[float] = 2e-6
    float32_forces: ClassVar[float] = 1e-5

    def test_declarations_are_complete(self, potential: Potential) -> None:
        model = potential.model
        assert model.dtype == torch.float64, "the suite needs the potential in float64: potential.double()"
        assert not potential.training, "the suite needs the potential in evaluation mode: potential.eval()"
        for name in ("is_atomwise", "is_local", "is_extensive", "is_smooth"):
            assert isinstance(getattr(model, name), bool), f"{name} must be declared True or False"
        assert model.cutoff > 0
        assert model.angle_cutoff is None or 0 < model.angle_cutoff <= model.cutoff
        assert model.elements, "a model has parameters for some elements"

    def test_the_record_is_complete(self, structures: dict[str, Atoms], predictions: dict[str, FullPrediction]) -> None:
        for name, atoms in structures.items():
            prediction, n_atoms = predictions[name], len(atoms)
            assert prediction.energy.shape == (1,)
            assert prediction.forces.shape == (n_atoms, 3)
            assert prediction.stress.shape == (1, 3, 3)
            assert bool(prediction.energy.isfinite().all()), f"{name}: energy {prediction.energy}"
            assert bool(prediction.forces.isfinite().all()), f"{name}: forces {prediction.forces}"
            assert bool(prediction.stress.isfinite().all()) == has_volume(atoms), f"{name}: stress {prediction.stress}"
            assert_close(prediction.forces.sum(dim=0), torch.zeros(3), self.rounding * n_atoms, f"{name}: total force")
            assert_close(prediction.stress, prediction.stress.mT, self.rounding, f"{name}: stress and its transpose")

    def test_atomic_energies_sum_to_the_energy(
        self, potential: Potential, structures: dict[str, Atoms], predictions: dict[str, FullPrediction]
    ) -> None:
        if not potential.model.is_atomwise:
            with pytest.raises(NotImplementedError):
                potential.predict(list(structures.values()), energies=True)
            return
        for name, prediction in predictions.items():
            assert prediction.energies is not None
            assert prediction.energies.shape == (len(structures[name]),)
            assert_close(prediction.energies.sum(), prediction.energy[0], self.rounding, f"{name}: sum of energies")
        alone = potential.predict([structures["rattled_crystal"]], forces=False, stress=False)[0]
        assert_close(
            alone.energy, predict_one(potential, structures["rattled_crystal"]).energy, self.rounding, "energy"
        )

    def test_a_batch_is_its_structures_one_by_one(self, potential: Potential, structures: dict[str, Atoms]) -> None:
        batch = Batch.from_data_list([record(atoms) for atoms in structures.values()])
        together = potential(batch, energies=potential.model.is_atomwise)
        parts = together.split([len(atoms) for atoms in structures.values()])
        for (name, atoms), part in zip(structures.items(), parts, strict=True):
            alone = potential(record(atoms), energies=potential.model.is_atomwise)
            self.assert_same(part, alone, f"{name} in a batch")

    def test_predict_and_call_agree(
        self, potential: Potential, structures: dict[str, Atoms], predictions: dict[str, FullPrediction]
    ) -> None:
        batch = Batch.from_data_list([record(atoms) for atoms in structures.values()])
        sizes = [len(atoms) for atoms in structures.values()]
        called = potential(batch).split(sizes)
        differentiable = potential(batch, create_graph=True).split(sizes)
        for name, one, other in zip(structures, called, differentiable, strict=True):
            self.assert_same(one, predictions[name], f"{name}, called")
            self.assert_same(other, predictions[name], f"{name}, called with create_graph")

    def test_a_graph_given_is_a_graph_built(
        self, potential: Potential, structures: dict[str, Atoms], predictions: dict[str, FullPrediction]
    ) -> None:
        graphs = [potential.model.build_graph(record(atoms), backend="torch") for atoms in structures.values()]
        given = potential(Batch.from_data_list(graphs)).split([len(atoms) for atoms in structures.values()])
        for name, prediction in zip(structures, given, strict=True):
            self.assert_same(prediction, predictions[name], f"{name} with its graph given")

    def test_the_order_of_bonds_and_angles_is_free(self, potential: Potential) -> None:
        atoms = self.build(potential, "rattled_crystal")
        graph = potential.model.build_graph(record(atoms))
        generator = torch.Generator().manual_seed(0)
        bonds = torch.randperm(graph.edge_index.size(1), generator=generator)
        bonds = bonds[graph.edge_index[1, bonds].argsort(stable=True)]  # a graph's bonds ascend by centre
        shuffled = graph.clone()
        shuffled.edge_index, shuffled.edge_shift = graph.edge_index[:, bonds], graph.edge_shift[bonds]
        if potential.model.angle_cutoff is not None:
            angles = bonds.argsort()[graph.angle_index]
            shuffled.angle_index = angles[:, angles[0].argsort(stable=True)]
        self.assert_same(potential(shuffled), potential(graph), "bonds in another order")

    @pytest.mark.parametrize("name", ["rattled_crystal", "slab", "bent_molecule"])
    def test_repeatable_and_leaves_the_input_as_it_was(self, potential: Potential, name: str) -> None:
        data = record(self.build(potential, name))
        before = data.clone()
        dtype = torch.get_default_dtype()
        first = potential(data)
        second = potential(data)
        self.assert_same(second, first, "the second time")
        now = data.to_dict()
        assert set(now) == set(before.to_dict()), "a field was added to the input or removed"
        for key, value in before.to_dict().items():
            assert torch.equal(now[key], value), f"{key} was changed"
            assert not now[key].requires_grad, f"{key} was made to require a gradient"
        assert torch.get_default_dtype() == dtype
        assert not first.energy.requires_grad
        assert not first.forces.requires_grad

    def test_float32(
        self, potential: Potential, structures: dict[str, Atoms], predictions: dict[str, FullPrediction]
    ) -> None:
        single = predict(deepcopy(potential).float(), list(structures.values()))
        for (name, atoms), found in zip(structures.items(), single, strict=True):
            wanted = predictions[name]
            error = float((found.energy - wanted.energy).abs()) / len(atoms)
            assert error <= self.float32_energy, f"{name}: energy differs by {error:.1e} eV per atom"
            assert_close(found.forces, wanted.forces, self.float32_forces, f"{name}: forces")
            assert_close(found.stress, wanted.stress, self.float32_forces, f"{name}: stress")

    def test_elements_without_parameters_are_refused(self, potential: Potential) -> None:
        for number in sorted({0, *range(1, 119)} - potential.model.elements)[:2]:
            atoms = self.build(potential, "bent_molecule")
            atoms.numbers[1] = number
            with pytest.raises(UnsupportedElementError, match="atom 1"):
                potential(record(atoms))
