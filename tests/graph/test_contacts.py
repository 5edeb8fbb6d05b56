"""Structures with atoms nearer than any atoms come."""

from __future__ import annotations

import pytest
from ase import Atoms
from ase.build import bulk, graphene, molecule

from torch_gptff.errors import CloseAtomsError
from torch_gptff.graph.contacts import check_contacts


@pytest.mark.parametrize(
    "atoms",
    [
        bulk("Cu"),
        bulk("NaCl", "rocksalt", a=5.6),
        molecule("H2"),
        molecule("CH3CH2OH"),
        graphene(vacuum=8),
        Atoms("He"),
    ],
)
def test_ordinary_structures_pass(atoms: Atoms) -> None:
    check_contacts(atoms)


@pytest.mark.parametrize(
    ("atoms", "told"),
    [
        (Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 0.85]]), r"atoms . \(..\) and . \(..\) are 0.85 Å apart"),
        (Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.2]]), r"are 0.2 Å apart, where 0.62 Å would be touching"),
        (bulk("Cu", a=1.2), r"its cell is so small that atoms or their images are within 0.85 Å"),
        (
            Atoms("Cu", cell=[[1, 0, 0], [0.95, 0.5, 0], [0, 0, 9]], pbc=True),
            r"atom 0 \(Cu\) and its periodic image are 0.5 Å apart",
        ),
        (bulk("Cu", a=0.6), r"its cell is so small"),
        (Atoms("Cu", cell=[1e-2, 9, 9], pbc=True), r"its cell is so small"),
        (Atoms("Cu", cell=[1e-2, 9, 9], pbc=(True, False, False)), r"its cell is so small that atoms or their images"),
        (Atoms("Cu", cell=[[3, 0, 0], [0, 1e-2, 0], [0, 0, 0]], pbc=(True, True, False)), r"its cell is so small"),
        (Atoms("Cu300", cell=[3, 3, 3], pbc=True), r"its cell is so small"),
    ],
)
def test_atoms_that_overlap(atoms: Atoms, told: str) -> None:
    with pytest.raises(CloseAtomsError, match=told):
        check_contacts(atoms)


def test_an_option_of_the_library() -> None:
    pair = Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 0.95]])
    check_contacts(pair)
    with pytest.raises(CloseAtomsError):
        check_contacts(pair, fraction=0.5)
