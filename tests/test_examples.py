"""The examples run, and the example structures are the crystals that their table says."""

from __future__ import annotations

import numpy as np
import pytest
import spglib
from ase.neighborlist import neighbor_list
from example_scripts import EXAMPLES, load_example

from torch_gptff.io.structures import read_structures

# space group, atoms, and the shortest and longest bond of every kind in Å with the number of them at an atom
CRYSTALS = {
    "NaCl.cif": (225, 8, {"Na-Cl": (6, 2.820, 2.820)}),
    "TiO2-rutile.cif": (136, 6, {"Ti-O": (6, 1.948, 1.980)}),
    "LiFePO4.cif": (62, 28, {"P-O": (4, 1.52, 1.56), "Fe-O": (6, 2.06, 2.25), "Li-O": (6, 2.09, 2.19)}),
    "Si.POSCAR": (227, 2, {"Si-Si": (4, 2.352, 2.352)}),
    "SrTiO3.extxyz": (221, 5, {"Ti-O": (6, 1.953, 1.953), "Sr-O": (12, 2.761, 2.761)}),
}


@pytest.mark.parametrize("name", CRYSTALS)
def test_example_structures_are_the_crystals_they_claim_to_be(name: str) -> None:
    space_group, n_atoms, bonds = CRYSTALS[name]
    (atoms,) = read_structures(EXAMPLES / "structures" / name)
    assert len(atoms) == n_atoms
    dataset = spglib.get_symmetry_dataset((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers), symprec=1e-3)
    assert dataset.number == space_group
    centre, neighbour, lengths = neighbor_list("ijd", atoms, 2.84)
    for kind, (number, shortest, longest) in bonds.items():
        first, second = kind.split("-")
        symbols = np.array(atoms.get_chemical_symbols())
        of_kind = lengths[(symbols[centre] == first) & (symbols[neighbour] == second)]
        assert len(of_kind) == number * (symbols == first).sum()
        assert of_kind.min() == pytest.approx(shortest, abs=0.005)
        assert of_kind.max() == pytest.approx(longest, abs=0.005)


def test_every_example_structure_is_in_its_table() -> None:
    files = {path.name for path in (EXAMPLES / "structures").iterdir()} - {"README.md"}
    assert files == set(CRYSTALS)
    readme = (EXAMPLES / "structures/README.md").read_text()
    for name in files:
        assert f"`{name}`" in readme


def test_training_in_plain_pyg_lowers_the_loss() -> None:
    losses = load_example("train_pyg").train(epochs=4)
    assert losses[-1] < 0.7 * losses[0]
