"""Energies and forces of MD17, in a loop of one's own: kcal/mol to eV, forces as a gradient, by ``Potential``.

    python examples/pyg/md17.py --root data/MD17 --name aspirin

PyG fetches the molecule into the folder where it is not there yet.
"""

import argparse
import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

from torch_gptff import GPTFF, Potential
from torch_gptff.datasets import fit_element_energies, frames_of_pyg


def train(dataset: Iterable[Data], epochs: int = 20, **settings: Any) -> list[float]:
    """The mean absolute error of the forces in every epoch, eV/Å."""
    frames = list(frames_of_pyg(dataset, energy="energy", forces="force", energy_unit="kcal/mol"))
    with warnings.catch_warnings():  # one molecule does not tell the energies of its elements apart, and need not
        warnings.filterwarnings("ignore", "the energies.* do not tell")
        energies = fit_element_energies(frames).energies
    potential = Potential(GPTFF(**settings), energies)
    optimizer = torch.optim.AdamW(potential.parameters(), lr=2e-3)
    losses = []
    for _ in range(epochs):
        total = 0.0
        for data in DataLoader(frames, batch_size=8, shuffle=True):
            prediction = potential(data, stress=False, create_graph=True)
            n_atoms = data.batch.bincount()
            force_loss = (prediction.forces - data.forces).abs().mean()
            loss = force_loss + ((prediction.energy - data.energy) / n_atoms).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += force_loss.item() * data.num_graphs
        losses.append(total / len(frames))
    return losses


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default="data/MD17")
    parser.add_argument("--name", default="aspirin")
    parser.add_argument("--frames", type=int, default=200)
    options = parser.parse_args()
    from torch_geometric.datasets import MD17

    print(train(MD17(options.root, options.name)[: options.frames]))
