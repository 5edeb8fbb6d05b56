"""Forces and stress are the derivatives of the energy, and can be differentiated again."""

from __future__ import annotations

from copy import deepcopy
from typing import ClassVar

import pytest
import torch
from ase import Atoms
from torch import Tensor

from torch_gptff.potential import Potential
from torch_gptff.testing.common import PotentialTests, assert_close, has_volume, predict_one, record
from torch_gptff.testing.oracles import numerical_forces, numerical_stress, potential_energies, strain_derivative
from torch_gptff.testing.structures import STRUCTURES


class DerivativeTests(PotentialTests):
    """Against finite differences, against autograd through positions and cell, and once more for training.

    Attributes:
        finite_difference: how far an analytic derivative may be from a central difference, in its own unit and
            relative to the largest
    """

    finite_difference: ClassVar[float] = 1e-6

    @pytest.fixture(params=[name for name in STRUCTURES if name != "far_apart_fragments"])  # which are tested apart
    def atoms(self, request: pytest.FixtureRequest, potential: Potential) -> Atoms:
        return self.build(potential, request.param)

    def test_forces_are_minus_the_slope_of_the_energy(self, potential: Potential, atoms: Atoms) -> None:
        expected = numerical_forces(potential_energies(potential), atoms)
        assert_close(predict_one(potential, atoms).forces, expected, self.finite_difference, "forces")

    def test_stress_is_the_slope_of_the_energy_by_strain(self, potential: Potential, atoms: Atoms) -> None:
        if not has_volume(atoms):
            assert bool(predict_one(potential, atoms).stress.isnan().all()), "stress without a volume must be NaN"
            return
        expected = numerical_stress(potential_energies(potential), atoms)
        assert_close(predict_one(potential, atoms).stress[0], expected, self.finite_difference, "stress")

    def test_agrees_with_autograd_through_positions_and_cell(self, potential: Potential, atoms: Atoms) -> None:
        prediction = predict_one(potential, atoms)
        forces, stress = strain_derivative(potential, atoms)
        assert_close(prediction.forces, forces, self.rounding, "forces")
        if has_volume(atoms):
            assert_close(prediction.stress[0], stress, self.rounding, "stress")

    def test_twice_differentiable_by_positions_and_cell(self, potential: Potential) -> None:
        data = record(self.build(potential, "skewed_cell"))

        def energy(pos: Tensor, cell: Tensor) -> Tensor:
            moved = data.clone()
            moved.pos, moved.cell = pos, cell
            return potential(moved, forces=False, stress=False).energy

        at = (data.pos.clone().requires_grad_(), data.cell.clone().requires_grad_())
        assert torch.autograd.gradgradcheck(energy, at, atol=1e-6, rtol=1e-4, fast_mode=True)

    def test_forces_are_differentiable_by_positions(self, potential: Potential) -> None:
        data = record(self.build(potential, "rattled_crystal"))
        along = torch.randn(data.pos.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

        def forces(step: float) -> Tensor:
            moved = data.clone()
            moved.pos = data.pos + step * along
            return potential(moved, stress=False).forces

        data.pos.requires_grad_()
        analytic = potential(data, stress=False, create_graph=True).forces
        (slope,) = torch.autograd.grad((analytic * along).sum(), data.pos)  # the Hessian is symmetric
        data.pos = data.pos.detach()
        expected = (forces(1e-5) - forces(-1e-5)) / 2e-5
        assert_close(slope, expected, self.finite_difference, "Hessian times a displacement")

    def test_a_loss_of_forces_and_stress_is_differentiable_by_parameters(self, potential: Potential) -> None:
        potential = deepcopy(potential).requires_grad_()
        data = record(self.build(potential, "rattled_crystal"))
        parameters = list(potential.parameters())
        generator = torch.Generator().manual_seed(0)
        along = [torch.randn(weight.shape, dtype=weight.dtype, generator=generator) for weight in parameters]
        starts = [weight.detach().clone() for weight in parameters]

        def loss(create_graph: bool = False) -> Tensor:
            prediction = potential(data, create_graph=create_graph)
            return prediction.energy.sum() + prediction.forces.square().sum() + prediction.stress.square().sum()

        def loss_at(step: float) -> Tensor:
            with torch.no_grad():
                for weight, start, direction in zip(parameters, starts, along, strict=True):
                    weight.copy_(start + step * direction)
            return loss()

        gradients = torch.autograd.grad(loss(create_graph=True), parameters, materialize_grads=True)
        slope = sum((gradient * direction).sum() for gradient, direction in zip(gradients, along, strict=True))
        expected = (loss_at(1e-6) - loss_at(-1e-6)) / 2e-6
        assert_close(slope, expected, self.finite_difference, "slope of the loss along a change of parameters")

    def test_every_parameter_has_a_part_in_the_result(self, potential: Potential) -> None:
        potential = deepcopy(potential).requires_grad_()
        loss = torch.zeros((), dtype=torch.float64)
        for name in ("rattled_crystal", "bent_molecule", "slab"):
            prediction = potential(record(self.build(potential, name)), stress=False, create_graph=True)
            loss = loss + prediction.energy.square().sum() + prediction.forces.square().sum()
        names, parameters = zip(*potential.named_parameters(), strict=True)
        gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
        dead = [name for name, gradient in zip(names, gradients, strict=True) if not bool(gradient.any())]
        assert not dead, f"no gradient reaches {', '.join(dead)}"
