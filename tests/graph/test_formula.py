"""The formula of a structure."""

from __future__ import annotations

import pytest
from ase import Atoms
from ase.build import bulk, molecule

from torch_gptff.datasets.frames import reduced_formula as of_frames
from torch_gptff.graph.formula import formula_of, reduced_formula


@pytest.mark.parametrize(
    ("symbols", "formula"),
    [("Li4Fe4P4O16", "LiFePO4"), ("O8", "O2"), ("Cl2Na2", "NaCl"), ("Cu4", "Cu"), ("H2O", "H2O"), ("Ar2", "Ar")],
)
def test_the_formula_unit(symbols: str, formula: str) -> None:
    assert reduced_formula(Atoms(symbols).numbers) == formula
    assert formula_of(Atoms(symbols, pbc=True)) == formula
    assert of_frames is reduced_formula


def test_molecules_are_not_reduced() -> None:
    assert formula_of(molecule("C6H6")) == "C6H6"
    assert formula_of(bulk("NaCl", "rocksalt", a=5.6)) == "NaCl"
