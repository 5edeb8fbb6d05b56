"""``torch-gptff kappa`` and ``--d3``: what is written, and what is said where a package is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from ase.build import bulk
from html_page import assert_self_contained

from torch_gptff.calculators import GPTFFCalculator, with_dispersion
from torch_gptff.io.structures import write_structures
from torch_gptff.workflows import ThermalConductivity


@pytest.fixture
def silicon_file(tmp_path: Path) -> Path:
    write_structures(tmp_path / "silicon.extxyz", [bulk("Si", a=5.43)])
    return tmp_path / "silicon.extxyz"


def test_table_file_and_report(call, silicon_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("phono3py")
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    options = ("--model", "gptff-universal", "--supercell", 2, 2, 2, "--pair-cutoff", 3.0, "--mesh", 12)
    given = (*options, "--temperature", 300, "--temperature", 200, "--json", out)
    result = call("kappa", silicon_file, *given, "--report", page)
    assert result.exit_code == 0, result.output
    (stored,) = json.loads(out.read_text())["results"]
    found = ThermalConductivity.from_dict(stored)
    assert found.temperatures.tolist() == [200, 300]
    assert float(result.stdout.splitlines()[-1].split()[2]) == pytest.approx(found.conductivity_300K, rel=1e-3)
    assert "W/(m K) at 300 K" in result.stdout
    assert_self_contained(page.read_text(encoding="utf-8"))
    again = call("kappa", silicon_file, *given, "--resume")
    assert "done before" in again.stdout


def test_dispersion_is_added(call, checkpoint: Path, silicon_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("dftd3")
    out = tmp_path / "out.json"
    result = call("predict", silicon_file, "--d3", "--dtype", "float64", "--json", out)
    assert result.exit_code == 0, result.output
    silicon = bulk("Si", a=5.43)
    silicon.calc = with_dispersion(GPTFFCalculator(checkpoint, device="cpu", dtype=torch.float64))
    (stored,) = json.loads(out.read_text())["predictions"]
    assert stored["energy"] == pytest.approx(silicon.get_potential_energy(), abs=1e-8)
    without = call("predict", silicon_file, "--dtype", "float64", "--json", out, "--resume")
    assert without.exit_code == 1
    assert "with d3" in without.stderr
    batch = call("relax", silicon_file, "--d3", "--batch", "--out", tmp_path / "relaxed")
    assert batch.exit_code == 2
    assert "leave out --batch" in " ".join(batch.stderr.replace("│", " ").split())
