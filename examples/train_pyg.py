"""Train GPTFF as any PyG model: a ``DataLoader`` over molecules without a cell and crystals with one.

    python examples/train_pyg.py

The labels are energies and forces of ASE's effective medium theory, so that nothing is downloaded.
"""

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from torch_geometric.loader import DataLoader

from torch_gptff import GPTFF, CrystalData, GPTFFConfig, Potential


def labelled(atoms: Atoms) -> CrystalData:
    """A record with its energy ``[1]`` in eV and its forces ``[N, 3]`` in eV/Å."""
    atoms.calc = EMT()
    data = CrystalData.from_ase(atoms)
    data.energy = torch.tensor([atoms.get_potential_energy()])
    data.forces = torch.tensor(atoms.get_forces())
    return data


def make_dataset(n_copies: int = 4) -> list[CrystalData]:
    """Molecules and metals with random displacements."""
    rng = np.random.default_rng(0)
    perfect = [molecule(name) for name in ("H2O", "CH4", "NH3", "C2H6", "CO2", "CH3OH")]
    perfect += [bulk(name, cubic=True) for name in ("Cu", "Al", "Ni")]
    shaken = []
    for atoms in perfect * n_copies:
        copy = atoms.copy()
        copy.positions += rng.normal(scale=0.05, size=copy.positions.shape)
        shaken.append(labelled(copy))
    return shaken


def train(epochs: int = 8) -> list[float]:
    """The loss of every epoch."""
    loader = DataLoader(make_dataset(), batch_size=6, shuffle=True)
    potential = Potential(GPTFF(GPTFFConfig(channels=32)))
    optimizer = torch.optim.AdamW(potential.parameters(), lr=2e-3)
    losses = []
    for epoch in range(epochs):
        total = 0.0
        for data in loader:
            prediction = potential(data, stress=False, create_graph=True)
            n_atoms = data.batch.bincount()
            energy_loss = ((prediction.energy - data.energy) / n_atoms).abs().mean()
            force_loss = (prediction.forces - data.forces).abs().mean()
            loss = energy_loss + force_loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(n_atoms)
        losses.append(total / len(loader.dataset))
        print(f"epoch {epoch:2d}   loss {losses[-1]:.4f}")
    return losses


if __name__ == "__main__":
    torch.manual_seed(0)
    train()
