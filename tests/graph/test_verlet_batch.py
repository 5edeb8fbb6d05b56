"""The graphs of a batch that moves are those that each structure would have alone, whoever joins and leaves."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from torch_geometric.data import Batch

from torch_gptff.errors import CoincidentAtomsError, StructureError
from torch_gptff.graph import CrystalData, VerletGraph
from torch_gptff.graph.verlet_batch import VerletBatch


def structures() -> list[Atoms]:
    slab = fcc111("Al", (1, 1, 3), vacuum=6)
    return [bulk("Cu") * 2, molecule("H2O"), slab, bulk("NaCl", "rocksalt", a=5.6)]


def together(crystals: list[Atoms]) -> CrystalData:
    batch = Batch.from_data_list([CrystalData.from_ase(atoms) for atoms in crystals])
    return CrystalData(z=batch.z, pos=batch.pos, cell=batch.cell, pbc=batch.pbc, batch=batch.batch)


def bonds_of(graph: CrystalData) -> set[tuple[int, ...]]:
    rows = torch.cat([graph.edge_index, graph.edge_shift.T.long()]).T
    return {tuple(row) for row in rows.tolist()}


def assert_as_alone(graph: CrystalData, crystals: list[Atoms], angle_cutoff: float | None) -> None:
    alone = [VerletGraph(4.0, angle_cutoff, 0.5).update(CrystalData.from_ase(atoms)) for atoms in crystals]
    expected = Batch.from_data_list(alone)
    assert bonds_of(graph) == bonds_of(expected)
    assert bool((graph.edge_index[1].diff() >= 0).all())
    if angle_cutoff is not None:
        assert graph.angle_index.shape == expected.angle_index.shape


@pytest.mark.parametrize("angle_cutoff", [None, 3.0])
def test_graphs_are_those_of_each_alone_while_all_move(angle_cutoff: float | None) -> None:
    crystals = structures()
    graphs = VerletBatch(4.0, angle_cutoff)
    for step in range(8):
        assert_as_alone(graphs.update(together(crystals)), crystals, angle_cutoff)
        for seed, atoms in enumerate(crystals):
            atoms.rattle(0.06, seed=10 * step + seed)
            atoms.set_cell(atoms.cell.array * (1.01 if seed % 2 else 0.99), scale_atoms=True)
    assert 1 < graphs.n_searches < 9


def test_structures_leave_and_join() -> None:
    crystals = structures()
    graphs = VerletBatch(4.0, None)
    graphs.update(together(crystals))
    graphs.keep([0, 2])
    crystals = [crystals[0], crystals[2], bulk("Si"), bulk("Fe")]
    assert_as_alone(graphs.update(together(crystals)), crystals, None)
    assert graphs.n_searches == 2
    graphs.keep([3])
    assert_as_alone(graphs.update(together(crystals[3:])), crystals[3:], None)
    assert graphs.n_searches == 2


def test_what_has_come_too_near_is_refused() -> None:
    crystals = structures()
    graphs = VerletBatch(4.0, None)
    graphs.update(together(crystals))
    crystals[1].positions[1] = crystals[1].positions[0]
    with pytest.raises(CoincidentAtomsError, match="of structure 1"):
        graphs.update(together(crystals))
    crystals[1].positions[1] = float("nan")
    with pytest.raises(StructureError):
        graphs.update(together(crystals))
