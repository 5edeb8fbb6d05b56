"""ASE and pymatgen to records and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from pymatgen.core import Lattice, Molecule, Structure

from torch_gptff.errors import EmptyStructureError, GraphError, PartialOccupancyError
from torch_gptff.graph import CrystalData
from torch_gptff.graph.convert import from_structure


def same(one: CrystalData, other: CrystalData) -> bool:
    return all(torch.equal(one[key], other[key]) for key in ("z", "pos", "cell", "pbc"))


@pytest.mark.parametrize(
    "atoms",
    [
        bulk("NaCl", "rocksalt", a=5.64),
        molecule("C6H6"),
        fcc111("Al", (2, 2, 3), vacuum=8.0),
        Atoms("H", pbc=[0, 0, 0]),
    ],
    ids=["crystal", "molecule", "slab", "atom"],
)
def test_ase_round_trip(atoms):
    data = CrystalData.from_ase(atoms)
    assert (data.z.dtype, data.pos.dtype, data.cell.shape, data.pbc.shape) == (
        torch.int64,
        torch.float64,
        (1, 3, 3),
        (1, 3),
    )
    assert data.to_ase() == atoms
    assert same(from_structure(atoms), data)


def test_atoms_and_record_share_no_memory():
    atoms = bulk("Si")
    data = CrystalData.from_ase(atoms)
    data.pos += 1.0
    data.cell *= 2.0
    assert np.array_equal(atoms.positions, bulk("Si").positions)
    assert np.array_equal(atoms.cell.array, bulk("Si").cell.array)


def test_float32():
    assert CrystalData.from_ase(bulk("Si"), torch.float32).pos.dtype == torch.float32


def test_pymatgen_round_trip_of_a_crystal():
    lattice = Lattice.from_parameters(4.0, 5.0, 6.5, 70, 85, 110, pbc=(True, False, True))
    structure = Structure(lattice, ["Li", "Fe", "O"], [[0, 0, 0], [0.5, 0.4, 1.3], [0.1, -0.7, 0.2]])
    data = CrystalData.from_pymatgen(structure)
    assert data.pbc.tolist() == [[True, False, True]]
    assert data.z.tolist() == [3, 26, 8]
    np.testing.assert_allclose(data.pos.numpy(), structure.cart_coords)
    again = data.to_pymatgen()
    assert again.lattice.pbc == lattice.pbc
    assert again == structure
    assert same(from_structure(structure), data)


def test_pymatgen_round_trip_of_a_molecule():
    water = Molecule(["O", "H", "H"], [[0, 0, 0.1], [0, 0.76, -0.48], [0, -0.76, -0.48]])
    data = CrystalData.from_pymatgen(water)
    assert not data.pbc.any()
    assert data.to_pymatgen() == water


def test_charged_species_are_their_elements():
    structure = Structure(Lattice.cubic(5.64), ["Na+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert CrystalData.from_pymatgen(structure).z.tolist() == [11, 17]


def test_ase_and_pymatgen_give_one_record():
    from pymatgen.io.ase import AseAtomsAdaptor

    atoms = bulk("NaCl", "rocksalt", a=5.64)
    data = CrystalData.from_pymatgen(AseAtomsAdaptor.get_structure(atoms))
    torch.testing.assert_close(data.pos, CrystalData.from_ase(atoms).pos)
    torch.testing.assert_close(data.cell, CrystalData.from_ase(atoms).cell)


@pytest.mark.parametrize("species", [{"Fe": 0.5, "Ni": 0.5}, {"Fe": 0.9}])
def test_partial_occupancy(species):
    structure = Structure(Lattice.cubic(3.0), ["O", species], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(PartialOccupancyError, match=r"site 1 holds .*Fe.*order the structure"):
        CrystalData.from_pymatgen(structure)


def test_no_sites():
    with pytest.raises(EmptyStructureError, match="no sites"):
        CrystalData.from_pymatgen(Structure(Lattice.cubic(3.0), [], []))


def test_pymatgen_needs_a_whole_cell():
    slab = CrystalData.from_ase(fcc111("Al", (1, 1, 2)))
    slab.cell[0, 2] = 0.0
    with pytest.raises(GraphError, match="length of vacuum"):
        slab.to_pymatgen()


def test_batches_are_taken_apart_first():
    batch = CrystalData.from_tensors(torch.ones(2), torch.zeros(2, 3), batch=torch.tensor([0, 1]))
    for convert in (batch.to_ase, batch.to_pymatgen):
        with pytest.raises(GraphError, match="batch of 2 structures"):
            convert()


def test_record_stays_what_it_is():
    data = CrystalData.from_ase(bulk("Si"))
    assert from_structure(data) is data


def test_something_else():
    with pytest.raises(GraphError, match="cannot make a crystal of a str"):
        from_structure("POSCAR")
