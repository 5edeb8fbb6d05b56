"""The way of PyG: a ``DataLoader``, a loop, an optimiser. Molecules and crystals, energies and forces."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader

from torch_gptff import GPTFF, CrystalData, GPTFFConfig, Potential

CONFIG = GPTFFConfig(channels=32, num_layers=2, num_radial=6, feedforward_channels=64, cutoff=4.0)
PAPER = GPTFFConfig.paper(
    channels=16, num_layers=2, num_radial=6, feedforward_channels=32, cutoff=4.0, angle_cutoff=3.0
)
MOLECULES = ("H2O", "CH4", "NH3", "CO2", "C2H6", "CH3OH", "HCN", "N2")
CRYSTALS = ("Cu", "Al", "Ni", "Au", "Pd", "Ag")


def labelled(atoms: Atoms, seed: int) -> Atoms:
    """Out of equilibrium, with energy and forces of effective-medium theory."""
    atoms.rattle(0.08, seed=seed)
    atoms.calc = EMT()
    atoms.get_forces()
    return atoms


def molecules() -> list[Atoms]:
    return [labelled(molecule(name), seed) for seed, name in enumerate(MOLECULES)]


def crystals() -> list[Atoms]:
    return [labelled(bulk(name, cubic=True), seed) for seed, name in enumerate(CRYSTALS)]


def plain_record(atoms: Atoms) -> Data:
    """As QM9 and MD17 have them: no cell."""
    return Data(
        z=torch.tensor(atoms.numbers),
        pos=torch.tensor(atoms.positions, dtype=torch.float32),
        energy=torch.tensor([atoms.get_potential_energy()], dtype=torch.float32),
        forces=torch.tensor(atoms.get_forces(), dtype=torch.float32),
    )


def crystal_record(atoms: Atoms) -> CrystalData:
    record = CrystalData.from_ase(atoms, dtype=torch.float32)
    record.energy = torch.tensor([atoms.get_potential_energy()], dtype=torch.float32)
    record.forces = torch.tensor(atoms.get_forces(), dtype=torch.float32)
    return record


def train(
    module: torch.nn.Module, loss_of: Callable[[Batch], Tensor], records: list[Data], epochs: int = 12
) -> list[float]:
    """The mean loss of every epoch."""
    loader = DataLoader(records, batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    history = []
    for _ in range(epochs):
        losses = []
        for batch in loader:
            optimizer.zero_grad()
            loss = loss_of(batch)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        history.append(sum(losses) / len(losses))
    return history


@pytest.mark.parametrize("config", [CONFIG, PAPER], ids=["recommended", "paper"])
def test_molecules_as_schnet_is_trained_on_them(config: GPTFFConfig) -> None:
    """``model(z, pos, batch)``, and forces as PyG's users take them."""
    model = GPTFF(config)

    def loss_of(batch: Batch) -> Tensor:
        pos = batch.pos.requires_grad_()
        energy = model(batch.z, pos, batch.batch).squeeze(-1)
        forces = -torch.autograd.grad(energy.sum(), pos, create_graph=True)[0]
        return F.mse_loss(energy, batch.energy) + F.mse_loss(forces, batch.forces)

    history = train(model, loss_of, [plain_record(atoms) for atoms in molecules()])
    assert history[-1] < 0.5 * history[0]


def plain_molecules() -> list[Data]:
    return [plain_record(atoms) for atoms in molecules()]


def metals() -> list[Data]:
    return [crystal_record(atoms) for atoms in crystals()]


def molecules_and_metals() -> list[Data]:
    """Of one type, so that they stand in one batch."""
    return [crystal_record(atoms) for atoms in [*molecules(), *crystals()]]


@pytest.mark.parametrize("config", [CONFIG, PAPER], ids=["recommended", "paper"])
@pytest.mark.parametrize("make_records", [plain_molecules, metals, molecules_and_metals])
def test_energies_and_forces_through_a_potential(make_records: Callable[[], list[Data]], config: GPTFFConfig) -> None:
    potential = Potential(GPTFF(config)).train()

    def loss_of(batch: Batch) -> Tensor:
        prediction = potential(batch, stress=False, create_graph=True)
        return F.mse_loss(prediction.energy, batch.energy.double()) + F.mse_loss(prediction.forces, batch.forces)

    history = train(potential, loss_of, make_records())
    assert history[-1] < 0.5 * history[0]


def test_graphs_that_are_built_once_train_alike() -> None:
    """As a dataset with a ``pre_transform`` gives them."""

    def history_of(prepare: Callable[[CrystalData], Data]) -> list[float]:
        torch.manual_seed(0)
        potential = Potential(GPTFF(CONFIG)).train()
        records = [prepare(crystal_record(atoms)) for atoms in crystals()]

        def loss_of(batch: Batch) -> Tensor:
            prediction = potential(batch, stress=False, create_graph=True)
            return F.mse_loss(prediction.energy, batch.energy.double()) + F.mse_loss(prediction.forces, batch.forces)

        return train(potential, loss_of, records, epochs=3)

    prepared = history_of(GPTFF(CONFIG).build_graph)
    assert prepared == pytest.approx(history_of(lambda record: record), rel=1e-4)


def test_stress_of_crystals_beside_molecules_gives_finite_gradients() -> None:
    """A molecule has no stress; what is left out of the loss must leave nothing behind in the gradient."""
    potential = Potential(GPTFF(CONFIG)).train()
    batch = Batch.from_data_list([crystal_record(atoms) for atoms in (molecules()[0], crystals()[0])])
    stress = potential(batch, create_graph=True).stress
    assert stress[0].isnan().all()
    stress[1].square().sum().backward()
    gradients = [parameter.grad for parameter in potential.parameters() if parameter.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.abs().sum() > 0 for gradient in gradients)
