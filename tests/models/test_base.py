"""What an energy model makes of the records it is given."""

from __future__ import annotations

import torch
from ase.build import molecule
from torch_geometric.data import Batch, Data

from torch_gptff.models import GPTFF


def test_chemical_bonds_are_not_the_graph():
    """QM9's molecules bring ``edge_index``: their single and double bonds."""
    model = GPTFF().double()
    molecules = [
        Data(
            z=torch.tensor(atoms.numbers, dtype=torch.int64),
            pos=torch.tensor(atoms.positions),
            edge_index=torch.tensor([[0, 1], [1, 0]]),
            edge_attr=torch.eye(2),
        )
        for atoms in (molecule("CH3OH"), molecule("H2O"))
    ]
    batch = Batch.from_data_list(molecules)
    graph = model.build_graph(batch)
    assert graph.edge_index.size(1) == 6 * 5 + 3 * 2
    energies = model.interaction_energy(graph, model.bond_vectors(graph))
    torch.testing.assert_close(energies, model(batch.z, batch.pos, batch.batch).squeeze(-1))
