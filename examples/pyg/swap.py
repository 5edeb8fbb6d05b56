"""GPTFF in the place of SchNet, in a training loop of PyG on molecules: two lines change.

    python examples/pyg/swap.py

The labels are energies of ASE's effective medium theory, so nothing has to be fetched.
"""

import torch
from ase.build import molecule
from ase.calculators.emt import EMT
from torch import nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

from torch_gptff.models import GPTFF, SchNet  # before: from torch_geometric.nn import SchNet


def molecules(n_copies: int = 8) -> list[Data]:
    """Shaken molecules as QM9 and MD17 have them: ``z``, ``pos`` in Å, and an energy in ``y``, eV."""
    records = []
    for seed, name in enumerate(("H2O", "CH4", "NH3", "C2H6", "CO2", "CH3OH") * n_copies):
        atoms = molecule(name)
        atoms.rattle(0.05, seed=seed)
        atoms.calc = EMT()
        y = torch.tensor([[atoms.get_potential_energy()]])
        records.append(Data(z=torch.tensor(atoms.numbers), pos=torch.tensor(atoms.positions).float(), y=y.float()))
    return records


def train(model: nn.Module, epochs: int = 5) -> list[float]:
    """The mean absolute error of every epoch, eV."""
    loader = DataLoader(molecules(), batch_size=8, shuffle=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(epochs):
        total = 0.0
        for data in loader:
            loss = (model(data.z, data.pos, data.batch) - data.y).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * data.num_graphs
        losses.append(total / len(loader.dataset))
    return losses


if __name__ == "__main__":
    torch.manual_seed(0)
    for model in (SchNet(hidden_channels=64, num_interactions=3, cutoff=5.0), GPTFF(hidden_channels=64, cutoff=5.0)):
        print(type(model).__name__, [round(loss, 3) for loss in train(model)])
