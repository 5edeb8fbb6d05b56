"""The transforms: what they set, what they leave alone, and how PyG batches their results."""

from __future__ import annotations

import pytest
import torch
from ase.build import bulk, molecule
from bond_sets import angles, bond_lengths, bonds, record
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader
from torch_geometric.transforms import Compose

from torch_gptff.errors import CoincidentAtomsError, GraphError, MissingCellError
from torch_gptff.graph import BondAngles, CrystalData, PeriodicRadiusGraph
from torch_gptff.graph.geometry import bond_vectors

GRAPH = ("edge_index", "edge_shift", "angle_index")
transform = Compose([PeriodicRadiusGraph(5.0), BondAngles(3.5)])


def crystals() -> list[CrystalData]:
    slab = bulk("Al", cubic=True)
    slab.center(vacuum=6.0, axis=2)
    slab.pbc = [True, True, False]
    kinds = [bulk("NaCl", "rocksalt", a=5.64), molecule("CH3OH"), slab, molecule("O"), bulk("Si"), bulk("Cu")]
    return [CrystalData.from_ase(atoms) for atoms in kinds]


def plain(name: str) -> Data:
    """A molecule as QM9 has it: chemical bonds, no cell."""
    atoms = molecule(name)
    return Data(
        z=torch.tensor(atoms.numbers, dtype=torch.int64),
        pos=torch.tensor(atoms.positions),
        edge_index=torch.tensor([[0, 1], [1, 0]]),
        edge_attr=torch.eye(2),
        y=torch.tensor([[1.0]]),
    )


def shifted_angles(graphs):
    """The angles of a batch, from those of its members: bonds are counted on from one graph to the next."""
    first_bond, columns = 0, []
    for graph in graphs:
        columns.append(graph.angle_index + first_bond)
        first_bond += graph.edge_index.size(1)
    return torch.cat(columns, dim=1)


def test_loader_batches_graphs():
    graphs = [transform(crystal) for crystal in crystals()]
    (batch,) = DataLoader(graphs, batch_size=len(graphs))
    assert torch.equal(batch.angle_index, shifted_angles(graphs))
    assert torch.equal(bond_vectors(batch), torch.cat([bond_vectors(graph) for graph in graphs]))
    assert batch.cell.shape == (len(graphs), 3, 3)
    assert batch.pbc.shape == (len(graphs), 3)
    first, second = batch.edge_index[1][batch.angle_index]
    assert torch.equal(first, second), "both bonds of an angle have one centre"


@pytest.mark.parametrize("backend", ["vesin", "torch", "ase"])
def test_transforming_a_batch_is_transforming_its_members(backend):
    both = Compose([PeriodicRadiusGraph(5.0, backend), BondAngles(3.5)])
    together = both(Batch.from_data_list(crystals()))
    apart = Batch.from_data_list([both(crystal) for crystal in crystals()])
    names = bonds(together.edge_index, together.edge_shift)
    assert sorted(names) == sorted(bonds(apart.edge_index, apart.edge_shift))
    assert angles(together) == angles(apart)


def test_batch_comes_apart_again():
    graphs = [transform(crystal) for crystal in crystals()]
    for graph, again in zip(graphs, Batch.from_data_list(graphs).to_data_list(), strict=True):
        assert isinstance(again, CrystalData)
        assert sorted(again.keys()) == sorted(graph.keys())
        for key in graph.keys():  # noqa: SIM118 - Data is not a dict
            assert torch.equal(again[key], graph[key]), key


def test_input_is_left_alone():
    for structure in (*crystals(), plain("H2O")):
        before = structure.clone()
        transform(structure)
        assert sorted(structure.keys()) == sorted(before.keys())
        for key in before.keys():  # noqa: SIM118
            assert torch.equal(structure[key], before[key]), key


def test_plain_molecules():
    """PyG counts any index by atoms; the angles of its molecules must nevertheless be counted by bonds."""
    names = ["CH4", "H2O", "C6H6"]
    graphs = [transform(plain(name)) for name in names]
    batch = next(iter(DataLoader(graphs, batch_size=3)))
    assert torch.equal(batch.angle_index, shifted_angles(graphs))
    for name, graph in zip(names, graphs, strict=True):
        expected = transform(CrystalData.from_ase(molecule(name)))
        assert all(torch.equal(graph[key], expected[key]) for key in GRAPH)
        assert not graph.pbc.any()
        assert graph.y.tolist() == [[1.0]]


def test_batch_of_plain_molecules():
    names = ["CH4", "H2O", "C6H6"]
    together = transform(Batch.from_data_list([plain(name) for name in names]))
    apart = Batch.from_data_list([transform(plain(name)) for name in names])
    assert sorted(bonds(together.edge_index, together.edge_shift)) == sorted(bonds(apart.edge_index, apart.edge_shift))
    assert angles(together) == angles(apart)
    assert together.cell.shape == (3, 3, 3)


def test_bonds_that_were_there_are_replaced():
    assert "edge_attr" not in PeriodicRadiusGraph(5.0)(plain("H2O"))
    wide = transform(CrystalData.from_ase(bulk("Si")))
    narrow = PeriodicRadiusGraph(2.5)(wide)
    assert narrow.edge_index.size(1) == 2 * 4
    assert "angle_index" not in narrow


def test_cell_without_pbc_is_periodic():
    crystal = CrystalData.from_ase(bulk("Si"))
    expected = PeriodicRadiusGraph(5.0)(crystal).edge_shift
    del crystal.pbc
    assert torch.equal(PeriodicRadiusGraph(5.0)(crystal).edge_shift, expected)


def test_repr():
    assert [repr(each) for each in transform.transforms] == [
        "PeriodicRadiusGraph(cutoff=5.0)",
        "BondAngles(angle_cutoff=3.5)",
    ]


def test_angles_need_bonds():
    with pytest.raises(GraphError, match="PeriodicRadiusGraph first"):
        BondAngles(3.5)(record([[0, 0, 0]]))


def test_bad_structures_are_refused():
    with pytest.raises(CoincidentAtomsError, match="atoms 0 and 1"):
        transform(record([[0, 0, 0], [0, 0, 0]]))
    with pytest.raises(MissingCellError, match="periodic along b"):
        transform(record([[0, 0, 0]], pbc=[False, True, False]))


def test_lengths_reach_the_limit_of_the_search():
    graph = PeriodicRadiusGraph(5.0)(CrystalData.from_ase(bulk("Po", "sc", a=2.5)))
    lengths = bond_lengths(graph.edge_index, graph.edge_shift, bond_vectors(graph).norm(dim=-1))
    assert max(lengths.values()) == 5.0
