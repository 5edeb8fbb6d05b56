"""``torch-gptff qha``: the numbers of the workflow, and the files that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ase.build import bulk
from html_page import assert_self_contained

from torch_gptff.io.structures import write_structures
from torch_gptff.workflows import QuasiHarmonicCrystal

pytest.importorskip("phonopy")

QUICK = ("--model", "gptff-universal", "--supercell", 2, 2, 2, "--points", 5, "--t-max", 300, "--t-step", 100)


@pytest.fixture
def copper_file(tmp_path: Path) -> Path:
    write_structures(tmp_path / "copper.extxyz", [bulk("Cu")])
    return tmp_path / "copper.extxyz"


def test_table_file_and_report(call, copper_file: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    result = call("qha", copper_file, *QUICK, "--json", out, "--report", page)
    assert result.exit_code == 0, result.output
    (stored,) = json.loads(out.read_text())["results"]
    found = QuasiHarmonicCrystal.from_dict(stored)
    assert len(found.volumes) == 5
    assert found.volumes[-1] / found.volumes[0] == pytest.approx(1.08 / 0.96)
    row = result.stdout.splitlines()[-1].split()
    assert row[2] == f"{found.at('volume', 0):.3f}"
    assert row[4] == f"{1e6 * found.at('thermal_expansion', 300):.2f}"
    assert found.linear_expansion_300K > 0
    assert row[-1] == "yes"
    assert "expands between 0 and 300 K by" in result.stdout
    assert_self_contained(page.read_text(encoding="utf-8"))
    again = call("qha", copper_file, *QUICK, "--json", out, "--resume")
    assert "done before" in again.stdout


def test_volumes_on_one_side_are_refused(call, copper_file: Path) -> None:
    result = call("qha", copper_file, "--from", 1.0)
    assert result.exit_code == 2
    assert "is not below 1" in " ".join(result.stderr.split())
