"""Corrections of the Materials Project, against those it publishes."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.spacegroup import crystal
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from torch_gptff.workflows import mp2020_correction

OXIDE, PEROXIDE, CHLORIDE, IRON = -0.687, -0.465, -0.614, -2.256
"""eV an atom, of Wang et al. (2021)."""


def hematite(metal: str) -> Atoms:
    basis = [[0, 0, 0.355], [0.306, 0, 0.25]]
    return crystal([metal, "O"], basis, spacegroup=167, cellpar=[5.04, 5.04, 13.75, 90, 90, 120], primitive_cell=True)


def lithium_peroxide() -> Atoms:
    basis = [[0, 0, 0], [1 / 3, 2 / 3, 3 / 4], [1 / 3, 2 / 3, 0.15]]
    return crystal(["Li", "Li", "O"], basis, spacegroup=194, cellpar=[3.14, 3.14, 7.65, 90, 90, 120])


def test_oxides_with_and_without_u_peroxides_salts_and_elements() -> None:
    assert mp2020_correction(bulk("MgO", "rocksalt", a=4.2)) == pytest.approx(OXIDE)
    assert mp2020_correction(hematite("Fe")) == pytest.approx(4 * IRON + 6 * OXIDE)
    assert mp2020_correction(hematite("Al")) == pytest.approx(6 * OXIDE)
    assert mp2020_correction(lithium_peroxide()) == pytest.approx(4 * PEROXIDE)
    assert mp2020_correction(bulk("NaCl", "rocksalt", a=5.6)) == pytest.approx(CHLORIDE)
    for element in (bulk("Fe", "bcc", a=2.8), molecule("O2", cell=[9, 9, 9], pbc=True)):
        assert mp2020_correction(element) == 0
    assert mp2020_correction(bulk("FeAl", "cesiumchloride", a=2.9)) == 0, "U is for oxides and fluorides"


def test_the_corrections_of_wbm(shared_data) -> None:
    file = shared_data / "data" / "matcalc_ref" / "wbm-random-pbe52-equilibrium-2025.1.json.gz"
    with gzip.open(file) as content:
        entries = json.load(content)
    published = [entry["corrected_energy"] - entry["energy"] for entry in entries[:60]]
    structures = [Structure.from_dict(entry["structure"]) for entry in entries[:60]]
    found = [mp2020_correction(AseAtomsAdaptor.get_atoms(structure)) for structure in structures]
    assert np.count_nonzero(published) > 10
    np.testing.assert_allclose(found, published, atol=1e-6)
