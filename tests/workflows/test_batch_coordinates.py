"""Coordinates of a batch, and steps of its optimisers, are those of one structure at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from torch import Tensor

from torch_gptff.workflows import OPTIMIZERS
from torch_gptff.workflows.batch.coordinates import BatchCoordinates
from torch_gptff.workflows.batch.optimizers import BATCH_OPTIMIZERS
from torch_gptff.workflows.cell_filter import LONGEST, LONGEST_STRAIN, CellFilter, by_logarithm, strain_scale


def crystals() -> list[Atoms]:
    copper, alloy, slab = bulk("Cu", a=3.7) * (2, 1, 1), bulk("NiAl", "cesiumchloride", a=2.9), fcc111("Pd", (1, 1, 3))
    slab.center(vacuum=5, axis=2)
    slab.set_constraint(FixAtoms([0]))
    random = np.random.default_rng(0)
    for atoms in (copper, alloy, slab):
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.02 * random.normal(size=(3, 3))), scale_atoms=True)
        atoms.positions += 0.05 * random.normal(size=(len(atoms), 3))
    return [copper, alloy, slab]


def projectors() -> list[Any]:
    return [np.eye(3), np.eye(3), np.diag([1.0, 1.0, 0.0])]


def computed(atoms: Atoms) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(atoms.get_forces()), torch.from_numpy(atoms.get_stress(voigt=False))


def test_the_gradient_by_a_logarithm_is_that_of_autograd() -> None:
    torch.manual_seed(0)
    log = (0.1 * torch.randn(4, 3, 3, dtype=torch.float64)).requires_grad_()
    gradient = torch.randn(4, 3, 3, dtype=torch.float64)
    (expected,) = torch.autograd.grad(torch.linalg.matrix_exp(log), log, gradient)
    torch.testing.assert_close(by_logarithm(log.detach(), 1e3 * gradient), 1e3 * expected)
    torch.testing.assert_close(by_logarithm(log.detach(), 0 * gradient), 0 * expected)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_each_alone(name: str) -> None:
    alone, moving = crystals(), crystals()
    volumes = [atoms.get_volume() for atoms in alone]
    scales = [
        strain_scale(volume) if name == "LBFGS" else float(len(atoms))
        for volume, atoms in zip(volumes, alone, strict=True)
    ]
    filters = []
    for atoms, projector, scale in zip(alone, projectors(), scales, strict=True):
        atoms.calc = EMT()
        filters.append(CellFilter(atoms, projector, 0.01, scale))
    single = [OPTIMIZERS[name](each, logfile=None) for each in filters]

    coordinates, optimizer = BatchCoordinates(), BATCH_OPTIMIZERS[name]()
    longest = [LONGEST_STRAIN * scale if name == "LBFGS" else LONGEST for scale in scales]
    coordinates.join(moving, projectors(), scales, longest)
    optimizer.join(coordinates.sizes + 3)
    for atoms in moving:
        atoms.calc = EMT()
    for step in range(9):
        if step == 5:  # one leaves
            kept = torch.tensor([False, True, True])
            optimizer.keep(kept.nonzero().squeeze(-1), kept[coordinates.owner])
            coordinates.keep([1, 2])
            alone, moving, single = alone[1:], moving[1:], single[1:]
        for each in single:
            each.step()
        for place, atoms in enumerate(moving):
            atoms.positions[:] = coordinates.pos[coordinates.atoms_of(place)].numpy()
            atoms.cell[:] = coordinates.cell[place].numpy()
        forces, stress = zip(*map(computed, moving), strict=True)
        downhill = coordinates.forces(torch.cat(forces), torch.stack(stress) + 0.01 * torch.eye(3, dtype=torch.float64))
        rows = optimizer.step(coordinates.rows(), downhill, coordinates.owner, coordinates.longest())
        assert coordinates.move(rows) == {}
        for place, atoms in enumerate(alone):
            np.testing.assert_allclose(coordinates.pos[coordinates.atoms_of(place)], atoms.positions, atol=1e-10)
            np.testing.assert_allclose(coordinates.cell[place], atoms.cell.array, atol=1e-10)


def test_a_cell_takes_few_steps() -> None:
    # a strained crystal has one soft coordinate, its cell, that ASE's scale makes a hundred times too soft
    from torch_gptff.workflows import relax

    strained = bulk("Cu", a=3.75, cubic=True) * 2
    strained.rattle(0.05, seed=0)
    few = relax(strained, EMT())
    many = relax(strained, EMT(), optimizer="FIRE")
    assert few.converged
    assert few.n_steps < many.n_steps / 2
    assert few.energy == pytest.approx(many.energy, abs=2e-3)
