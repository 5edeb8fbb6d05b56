"""Bond vectors, and forces and stress from a gradient by them, against automatic differentiation."""

from __future__ import annotations

import pytest
import torch
from ase.build import bulk, molecule
from torch_geometric.data import Batch

from torch_gptff.graph import CrystalData, PeriodicRadiusGraph
from torch_gptff.graph.geometry import bond_vectors, forces_from_bonds, stress_from_bonds


@pytest.fixture
def batch() -> Batch:
    slab = bulk("Al", cubic=True)
    slab.pbc = [True, True, False]
    structures = [bulk("NaCl", "rocksalt", a=5.64), slab, bulk("Ti")]
    for atoms in structures:
        atoms.rattle(0.1, seed=0)
    return Batch.from_data_list([PeriodicRadiusGraph(4.5)(CrystalData.from_ase(atoms)) for atoms in structures])


def energies(vectors, graph):
    """A pair potential, softened: any function of bond vectors that is not symmetric in the two ends will do."""
    pair = torch.exp(-vectors.square().sum(dim=-1) / 4) * graph.z[graph.edge_index[1]] + 0.01 * vectors[:, 0]
    return vectors.new_zeros(len(graph.cell)).index_add(0, graph.batch[graph.edge_index[1]], pair)


def test_forces_and_stress_are_derivatives_by_positions_and_strain(batch):
    vectors = bond_vectors(batch).requires_grad_()
    (gradient,) = torch.autograd.grad(energies(vectors, batch).sum(), vectors)
    forces = forces_from_bonds(gradient, batch.edge_index, len(batch.z))
    stress = stress_from_bonds(gradient, vectors, batch)

    strained = batch.clone()
    strain = torch.zeros(3, 3, 3, dtype=torch.float64, requires_grad=True)
    symmetric = torch.eye(3) + (strain + strain.mT) / 2
    strained.pos = torch.einsum("nc,ncd->nd", batch.pos.requires_grad_(), symmetric[batch.batch])
    strained.cell = batch.cell @ symmetric
    energy = energies(bond_vectors(strained), strained).sum()
    by_position, by_strain = torch.autograd.grad(energy, [batch.pos, strain])
    torch.testing.assert_close(forces, -by_position)
    torch.testing.assert_close(stress, by_strain / torch.linalg.det(batch.cell).abs().view(-1, 1, 1))


def test_no_volume_no_stress():
    graph = PeriodicRadiusGraph(4.5)(CrystalData.from_ase(molecule("H2O")))
    vectors = bond_vectors(graph)
    assert bool(stress_from_bonds(vectors, vectors, graph).isnan().all())


def test_bond_vectors_keep_their_digits_under_autocast(batch):
    batch = batch.clone()
    batch.pos, batch.cell = batch.pos.float(), batch.cell.float()
    one = batch.to_data_list()[0]
    expected = [bond_vectors(graph) for graph in (batch, one)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = [bond_vectors(graph) for graph in (batch, one)]
    for now, before in zip(found, expected, strict=True):
        assert torch.equal(now, before)
