"""What dynamics and training rely on: no jump at the cutoff, a conserved energy, gradients to rounding."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from torch import Tensor

from torch_gptff import GPTFF, CrystalData, GPTFFCalculator, GPTFFConfig, Potential, Prediction
from torch_gptff.testing.structures import crossing

CONFIGS = {
    "recommended": GPTFFConfig(),
    "large": GPTFFConfig.large(num_layers=2, feedforward_channels=64),
    "committee and repulsion": GPTFFConfig(num_layers=2, num_readouts=3, repulsion=True),
    "without kernels": GPTFFConfig(channels=12, num_layers=2, heads=2),
    "paper": GPTFFConfig.paper(),
}


@pytest.fixture(params=CONFIGS.values(), ids=list(CONFIGS))
def potential(request: pytest.FixtureRequest) -> Potential:
    """With random weights, and forces of the size of those in a crystal."""
    torch.manual_seed(0)
    potential = Potential(GPTFF(request.param)).double().eval()
    with torch.no_grad():
        for readout in (potential.model.readout, *potential.model.readout.others):
            readout.fc_out.weight.mul_(30)
    return potential


def rattled() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.5)
    atoms.rattle(0.1, seed=2)
    return atoms


QUANTITIES = ("energy", "forces", "stress")


def change(one: Prediction, other: Prediction, quantity: str) -> float:
    return float((getattr(one, quantity) - getattr(other, quantity)).abs().max())


def test_nothing_jumps_as_a_neighbour_crosses_the_cutoff(potential: Potential) -> None:
    """Energy, forces and stress of a crystal, one of whose neighbours is led through the cutoff (of the recommended
    model 6 Å): what lies between both sides shrinks with the distance between them, all the way to rounding."""
    at = crossing(rattled(), potential.model.cutoff)
    for quantity in QUANTITIES:
        steps = [1e-2, 1e-4, 1e-6, 1e-8]
        changes = [change(*potential.predict([at(-step), at(step)]), quantity) for step in steps]
        assert changes[0] > 1e-6, f"{quantity} does not depend on where the atom is"
        for wide, narrow in pairwise(changes):
            assert narrow < 0.02 * wide + 1e-12, f"{quantity}: {changes}"


def test_a_neighbour_is_felt_up_to_the_cutoff_and_not_beyond(potential: Potential) -> None:
    cutoff = potential.model.cutoff
    pair = [Atoms("NaCl", [[0, 0, 0], [0, 0.6 * r, 0.8 * r]]) for r in (cutoff - 0.6, cutoff, cutoff + 0.1, 50.0)]
    near, *far = potential.predict(pair)
    apart = sum(potential.predict([Atoms(symbol)])[0].energy for symbol in ("Na", "Cl"))
    assert (near.energy - apart).abs() > 1e-6
    for prediction in far:
        torch.testing.assert_close(prediction.energy, apart, atol=1e-12, rtol=0)
        assert prediction.forces is not None
        assert prediction.forces.abs().max() < 1e-12


def test_dynamics_conserve_the_energy(potential: Potential) -> None:
    """Neighbours come and go in 80 fs of a hot crystal. What the total energy strays by is the error of the integrator,
    which is of second order: a quarter of it is left where the step is half as long."""
    crystal = rattled() * (2, 1, 1)
    thermalize_momenta(crystal, temperature_K=2000, rng=np.random.default_rng(0))
    Stationary(crystal)
    strayed = []
    for femtoseconds in (2.0, 1.0):
        atoms = crystal.copy()
        atoms.calc = GPTFFCalculator(potential, dtype=torch.float64)
        energies: list[float] = []
        dynamics = VelocityVerlet(atoms, timestep=femtoseconds * units.fs)
        dynamics.attach(lambda atoms=atoms, energies=energies: energies.append(atoms.get_total_energy()))
        dynamics.run(round(80 / femtoseconds))
        strayed.append(np.std(energies))
        moved = np.abs(atoms.get_potential_energy() - crystal_energy(potential, crystal))
        assert moved > 30 * strayed[-1], "energy goes from motion to bonds and back"
    assert 3 < strayed[0] / strayed[1] < 5


def crystal_energy(potential: Potential, atoms: Atoms) -> float:
    return potential.predict([atoms])[0].energy.item()


def test_gradients_in_float32_are_those_in_float64(potential: Potential) -> None:
    """Of a loss of energy, forces and stress, by every parameter."""

    def gradients(potential: Potential, dtype: torch.dtype) -> list[Tensor]:
        potential = deepcopy(potential).to(dtype)
        prediction = potential(CrystalData.from_ase(rattled(), dtype=dtype), create_graph=True)
        assert prediction.forces is not None
        assert prediction.stress is not None
        loss = prediction.energy.square().sum() + prediction.forces.square().sum() + prediction.stress.square().sum()
        return [each.double() for each in torch.autograd.grad(loss, list(potential.parameters()))]

    names = [name for name, _ in potential.named_parameters()]
    exact, rounded = gradients(potential, torch.float64), gradients(potential, torch.float32)
    largest = max(float(each.norm()) for each in exact)
    for name, one, other in zip(names, exact, rounded, strict=True):
        assert (other - one).norm() < 1e-4 * one.norm() + 1e-6 * largest, name
