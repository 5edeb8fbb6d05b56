"""GPTFF as a model of TorchSim: by its own suites where it is installed, else by the interface that it asks for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch_sim_interface import State, install

from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.errors import CoincidentAtomsError, UnsupportedElementError

try:
    import torch_sim
except ImportError:
    torch_sim = None
needs_torchsim = pytest.mark.skipif(torch_sim is None, reason="TorchSim is not installed: it needs Python 3.12")
CPU = torch.device("cpu")


@pytest.fixture
def potential() -> Potential:
    torch.manual_seed(0)
    small = GPTFFConfig(channels=16, heads=1, num_layers=2, feedforward_channels=16, cutoff=5.0)
    return Potential(GPTFF(small).double(), torch.randn(95)).eval()


@pytest.fixture
def model(potential: Potential, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    if torch_sim is None:
        install(monkeypatch)
    from torch_gptff.calculators.torchsim import GPTFFModel

    yield GPTFFModel(potential, device="cpu")
    sys.modules.pop("torch_gptff.calculators.torchsim")


def crystals() -> list[Atoms]:
    found = [bulk("NaCl", "rocksalt", a=5.6), bulk("Cu"), bulk("Mg") * (2, 1, 1)]
    for number, atoms in enumerate(found):
        atoms.rattle(0.05, seed=number)
    return found


def test_every_system_gets_what_the_ase_calculator_gives_it(model: Any, potential: Potential) -> None:
    found = model(State(crystals()))
    assert {name: list(value.shape) for name, value in found.items()} == {
        "energy": [3],
        "forces": [7, 3],
        "stress": [3, 3, 3],
    }
    start = 0
    for number, atoms in enumerate(crystals()):
        atoms.calc = GPTFFCalculator(potential, device="cpu")
        assert found["energy"][number].item() == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
        forces = found["forces"][start : start + len(atoms)]
        np.testing.assert_allclose(forces, atoms.get_forces(), atol=1e-10)
        np.testing.assert_allclose(found["stress"][number], atoms.get_stress(voigt=False), atol=1e-10)
        start += len(atoms)


def test_the_stress_of_a_molecule_is_zero(model: Any) -> None:
    water = molecule("H2O")
    for cell in (np.zeros((3, 3)), np.eye(3) * 10):
        water.cell = cell
        found = model(State([water, water]))
        assert found["forces"].abs().max() > 0
        assert (found["stress"] == 0).all()


def test_what_is_not_wanted_is_not_computed(model: Any) -> None:
    model.compute_stress = False
    assert set(model(State(crystals()))) == {"energy", "forces"}
    model.compute_forces = False
    assert set(model(State(crystals()))) == {"energy"}


def test_results_are_of_the_dtype_of_states_whatever_the_model_computes_in(potential: Potential, model: Any) -> None:
    single = type(model)(potential, device="cpu", model_dtype=torch.float32)
    for name, value in single(State(crystals())).items():
        assert value.dtype == single.dtype == torch.float64
        torch.testing.assert_close(value, model(State(crystals()))[name], atol=1e-4, rtol=1e-4)
    assert model.potential.model.dtype == torch.float64, "a copy is used"


def test_a_system_that_cannot_be_computed_is_named(model: Any) -> None:
    near = bulk("Cu") * (2, 1, 1)
    near.positions[1] = near.positions[0]
    with pytest.raises(CoincidentAtomsError, match="system 1: "):
        model(State([bulk("Cu"), near]))
    unknown = bulk("Cu")
    unknown.numbers[:] = 118
    with pytest.raises(UnsupportedElementError, match="system 2: "):
        model(State([bulk("Cu"), bulk("Mg"), unknown]))


@needs_torchsim
def test_the_outputs_are_valid(model: Any) -> None:
    from torch_sim.models.interface import validate_model_outputs

    validate_model_outputs(model, CPU, torch.float64)


@needs_torchsim
def test_the_consistency_suite(model: Any, potential: Potential) -> None:
    from torch_sim.testing import CONSISTENCY_SIMSTATES, SIMSTATE_GENERATORS, assert_model_calculator_consistency

    calculator = GPTFFCalculator(potential, device="cpu")
    for name in CONSISTENCY_SIMSTATES:
        state = SIMSTATE_GENERATORS[name](CPU, torch.float64)
        model.compute_stress = bool(torch.as_tensor(state.pbc).any())  # the calculator of a molecule has no stress
        assert_model_calculator_consistency(model, calculator, state)


@needs_torchsim
def test_relaxation_and_dynamics_of_batches(model: Any) -> None:
    batcher = torch_sim.InFlightAutoBatcher(model=model, memory_scales_with="n_atoms", max_memory_scaler=6)
    relaxed = torch_sim.optimize(
        system=crystals(), model=model, optimizer=torch_sim.Optimizer.fire, autobatcher=batcher, max_steps=20
    )
    before = model(torch_sim.io.atoms_to_state(crystals(), CPU, torch.float64))["energy"]
    assert (relaxed.energy <= before + 1e-9).all()
    assert relaxed.energy.sum() < before.sum()
    for integrator in (torch_sim.Integrator.nve, torch_sim.Integrator.nvt_langevin):
        moved = torch_sim.integrate(
            system=crystals(), model=model, integrator=integrator, n_steps=3, temperature=300, timestep=0.001
        )
        assert moved.energy.isfinite().all()


@needs_torchsim
def test_a_barostat_presses_crystals_together(model: Any) -> None:
    """Nosé-Hoover dynamics with the same velocities, at 0.1 eV/Å³ on each side of zero."""
    cells = [bulk("NaCl", "rocksalt", a=5.7, cubic=True), bulk("Cu", cubic=True)]
    pulled, pressed = (
        torch_sim.integrate(
            system=cells,
            model=model,
            integrator=torch_sim.Integrator.npt_nose_hoover_isotropic,
            n_steps=20,
            temperature=300,
            timestep=0.001,
            external_pressure=torch.tensor(pressure, dtype=torch.float64),
        )
        for pressure in (-0.1, 0.1)
    )
    volumes = [torch.linalg.det(state.cell).abs() for state in (pulled, pressed)]
    assert (volumes[1] < volumes[0] * (1 - 1e-6)).all()
