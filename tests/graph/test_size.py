"""Graphs that cannot be held are refused before they are built, and no other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111, graphene, molecule

from torch_gptff.errors import GraphSizeError
from torch_gptff.graph import BondAngles, CrystalData, PeriodicRadiusGraph, neighbor_list, size
from torch_gptff.graph.checks import completed_cell

ORDINARY = {
    "primitive": bulk("Cu"),
    "supercell": bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (6, 6, 6),
    "molecule": molecule("C60"),
    "sheet": graphene(vacuum=None),
    "slab": fcc111("Cu", (5, 5, 4), vacuum=10),
    "wire": Atoms("Cu", cell=[0, 0, 2.5], pbc=[False, False, True]),
    "hydrogen at 5 TPa": Atoms("H", cell=[0.8, 0.8, 0.8], pbc=True),
    "droplet": Atoms("Ar900", positions=np.random.default_rng(0).uniform(0, 12, (900, 3)), cell=[200] * 3, pbc=True),
    "open droplet": Atoms("Ar900", positions=np.random.default_rng(1).uniform(0, 12, (900, 3))),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_the_number_of_bonds_is_estimated_to_a_factor_of_four(name: str) -> None:
    data = CrystalData.from_ase(ORDINARY[name])
    n_bonds = neighbor_list(data, 5.0)[0].size(1)  # which refuses none of these
    cell = completed_cell(data.cell, data.pbc)
    _, estimated = size._estimate(data.pos, cell, data.pbc, torch.zeros_like(data.z), 5.0)
    assert n_bonds / 4 < estimated < 4 * n_bonds


@pytest.mark.parametrize("n_dimensions", [1, 2, 3])
@pytest.mark.parametrize("length", [0.0011, 0.01])
def test_a_cell_vector_of_no_length_is_refused(length: float, n_dimensions: int) -> None:
    lengths = [length, *[2.0 if n_dimensions == 3 else 0.1] * (n_dimensions - 1), *[0.0] * (3 - n_dimensions)]
    atoms = Atoms("Cu", cell=lengths, pbc=[value > 0 for value in lengths])
    if n_dimensions == 1 and length == 0.01:
        assert PeriodicRadiusGraph(5.0)(CrystalData.from_ase(atoms)).num_edges == 1000  # as dense as lead
        return
    with pytest.raises(GraphSizeError, match=r"atoms per Å³ in places, and no matter has more than a few"):
        PeriodicRadiusGraph(5.0)(CrystalData.from_ase(atoms))


def test_atoms_that_all_lie_in_one_place_are_refused() -> None:
    positions = np.random.default_rng(2).uniform(0, 2, (20_000, 3))
    for cell in (None, [500.0] * 3):
        atoms = Atoms("Ar20000", positions=positions, cell=cell, pbc=cell is not None)
        with pytest.raises(GraphSizeError, match=r"atoms per Å³|bonds within 5 Å"):
            neighbor_list(CrystalData.from_ase(atoms), 5.0)


def test_what_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = CrystalData.from_ase(
        bulk("Cu", cubic=True) * (10, 10, 10)
    )  # 168,000 bonds within 5 Å, 12 of each atom to 3.5
    assert neighbor_list(data, 5.0)[0].size(1) == 168_000
    assert size.free_memory(torch.device("cpu")) > 1e8
    monkeypatch.setattr(size, "free_memory", lambda device: 2e9)
    graph = PeriodicRadiusGraph(5.0)(data)
    monkeypatch.setattr(size, "BYTES_PER_BOND", 20_000)
    with pytest.raises(
        GraphSizeError, match=r"about 1\.\de\+05 bonds within 5 Å, which take \d\.\d+ GB, and there are 2 GB"
    ):
        neighbor_list(data, 5.0)
    monkeypatch.setattr(size, "BYTES_PER_ANGLE", 20_000)
    with pytest.raises(GraphSizeError, match=r"about 5\.3e\+05 angles of bonds within 3\.5 Å"):
        BondAngles(3.5)(graph)
