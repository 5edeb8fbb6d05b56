"""``torch-gptff phonons``: tables, files, and what is said of imaginary modes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ase.build import bulk, molecule

from torch_gptff.io.structures import write_structures
from torch_gptff.workflows import PhononSpectrum

pytest.importorskip("phonopy")

QUICK = ("--as-given", "--supercell", "2", "2", "2")


def test_table_file_and_report(call, tmp_path: Path) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    write_structures(tmp_path / "salt.extxyz", [bulk("NaCl", "rocksalt", a=5.5)])
    write_structures(tmp_path / "water.xyz", [molecule("H2O")])
    result = call("phonons", tmp_path / "salt.extxyz", tmp_path / "water.xyz", *QUICK, "--json", out, "--report", page)
    assert result.exit_code == 1  # for the molecule
    assert "water.xyz: a phonon spectrum needs a crystal" in result.stderr
    (found,) = json.loads(out.read_text())["results"]
    spectrum = PhononSpectrum.from_dict(found)
    assert spectrum.supercell == (2, 2, 2)
    row = result.stdout.splitlines()[-1].split()
    assert float(row[2]) == pytest.approx(spectrum.lowest_frequency, abs=0.006)
    assert float(row[4]) == pytest.approx(spectrum.heat_capacity_300K_formula_unit, abs=0.006)
    assert row[-1] == ("yes" if spectrum.is_stable else "NO")
    assert page.read_text().count("<svg") == 3
    # the random model has no minimum here, and that is said
    assert not spectrum.is_stable
    assert "IMAGINARY MODES: down to -" in result.stdout
    assert "Imaginary modes: the lowest is" in page.read_text()
    again = call("phonons", tmp_path / "salt.extxyz", *QUICK, "--json", out, "--resume")
    assert again.exit_code == 0
    assert "salt.extxyz: done before" in again.stdout


def test_published_checkpoint_on_silicon(call, shared_data: Path, tmp_path: Path) -> None:
    silicon = Path(__file__).parents[2] / "examples/structures/Si.POSCAR"
    out = tmp_path / "out.json"
    model = shared_data / "pretrained/gptff_v1.pth"
    result = call("phonons", silicon, "--model", model, "--min-length", "6", "--json", out)
    assert result.exit_code == 0, result.output
    spectrum = PhononSpectrum.from_dict(json.loads(out.read_text())["results"][0])
    assert spectrum.is_stable
    assert spectrum.heat_capacity_300K == pytest.approx(20.0, rel=0.25)  # experiment; its frequencies are far too low
    assert spectrum.residual_force < 1e-3
