"""``torch-gptff diffraction``: tables, files and messages."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from torch_gptff.workflows import DiffractionSeries

pytest.importorskip("pyscal3")


@pytest.fixture
def stretched(tmp_path: Path) -> Path:
    frames = []
    for strain in np.linspace(0, 0.04, 9):
        atoms = bulk("Cu", a=3.615, cubic=True)
        atoms.set_cell(atoms.cell * (1 + strain), scale_atoms=True)
        frames.append(atoms)
    ase.io.write(tmp_path / "copper.extxyz", frames)
    return tmp_path / "copper.extxyz"


def test_table_file_and_report(call, stretched: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    options = ("--two-theta", "35", "60", "--against", "strain-c", "--json", out, "--report", page)
    result = call("diffraction", stretched, *options)
    assert result.exit_code == 0, result.output
    series = DiffractionSeries.load(out)
    assert series.profiles.shape[0] == 9
    np.testing.assert_allclose(series.strain(2)[-1], 0.04)
    _, first, second, *told = result.stdout.splitlines()
    assert first.split()[:3] == ["0", "8", "43.35"]
    assert second.split()[:3] == ["0", "8", "50.49"]
    assert float(first.split()[3]) < 42
    assert told == ["first frame: 100.0 % fcc", "last frame: 100.0 % fcc"]
    html = page.read_text()
    assert html.count("<svg") == 5  # the first frame, and four figures
    assert "strain along c" in html


def test_one_structure(call, stretched: Path, tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    result = call("diffraction", f"{stretched}@0", "--wavelength", "0.71", "--no-structures", "--report", page)
    assert result.exit_code == 0, result.output
    spacing = 3.615 / np.sqrt(3)
    expected = 2 * np.degrees(np.arcsin(0.71 / (2 * spacing)))
    assert float(result.stdout.splitlines()[1].split()[2]) == pytest.approx(expected, abs=0.02)
    assert "fcc" not in result.stdout
    assert page.read_text().count("<svg") == 2  # the crystal and its pattern


def test_bad_calls(call, stretched: Path, tmp_path: Path) -> None:
    result = call("diffraction", stretched, "--wavelength", "XY")
    assert result.exit_code == 1
    assert "no wavelength is called 'XY'" in result.stderr
    result = call("diffraction", stretched, "--against", "time", "--json", tmp_path / "out.json")
    assert result.exit_code == 1
    assert "does not tell times" in result.stderr
    assert not (tmp_path / "out.json").exists()
    atoms: Atoms = molecule("H2O")
    ase.io.write(tmp_path / "water.xyz", atoms)
    result = call("diffraction", tmp_path / "water.xyz")
    assert result.exit_code == 1
    assert "needs a crystal" in result.stderr
    assert call("diffraction", tmp_path / "nowhere.xyz").exit_code == 1
