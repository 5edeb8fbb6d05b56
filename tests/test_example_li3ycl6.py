"""The example of the conductor: its structure, and that a run of it is analysed and can be continued."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import spglib
from ase.calculators.harmonic import SpringCalculator
from ase.neighborlist import neighbor_list

from torch_gptff.workflows import DiffusionSeries


@pytest.fixture(scope="module")
def example() -> ModuleType:
    path = Path(__file__).parents[1] / "examples/li3ycl6_conductivity.py"
    spec = importlib.util.spec_from_file_location("li3ycl6_conductivity", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_structure_is_that_of_octahedra(example: ModuleType) -> None:
    atoms = example.lithium_yttrium_chloride()
    assert atoms.get_chemical_formula() == "Cl18Li9Y3"
    center, neighbor, lengths = neighbor_list("ijd", atoms, 2.9)
    symbols = np.array(atoms.symbols)
    assert set(symbols[neighbor[symbols[center] != "Cl"]]) == {"Cl"}
    cations = symbols[np.arange(len(atoms))] != "Cl"
    assert np.bincount(center, minlength=len(atoms))[cations].tolist() == [6] * 12
    assert lengths.min() == pytest.approx(2.64, abs=0.02)
    # the framework, without the ordered lithium, has the symmetry of the trigonal structure or more
    framework = atoms[symbols != "Li"]
    cell = (framework.cell.array, framework.get_scaled_positions(), framework.numbers)
    assert len(spglib.get_symmetry_dataset(cell, symprec=1e-3).rotations) >= 12


def test_a_crystal_of_springs_does_not_conduct(example: ModuleType, tmp_path: Path, capsys) -> None:
    atoms = example.lithium_yttrium_chloride()
    springs = SpringCalculator(atoms.positions, k=3.0)
    size = {"steps": 400, "interval": 2, "skip": 0.1}
    series = example.conductivity(atoms, springs, [300.0, 600.0], tmp_path, **size)
    assert [run.is_diffusive for run in series.runs] == [False, False]
    assert [run.temperature for run in series.runs] == [300.0, 600.0]
    assert DiffusionSeries.load(tmp_path / "lithium.json").to_dict() == series.to_dict()
    assert "Too little diffusion" in (tmp_path / "lithium.html").read_text()
    example.tell(series)
    told = capsys.readouterr().out
    assert "300 K: too little diffusion" in told
    assert "no activation energy" in told
    assert "0.51 mS/cm" in told
    # given again, nothing is computed anew
    before = (tmp_path / "300K.traj").read_bytes()
    again = example.conductivity(atoms, springs, [300.0, 600.0], tmp_path, **size)
    assert (tmp_path / "300K.traj").read_bytes() == before
    assert again.to_dict() == series.to_dict()
