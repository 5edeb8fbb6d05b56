"""``torch-gptff surface``: the numbers of the workflow, and the files that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from ase.build import bulk
from html_page import assert_self_contained

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.io.structures import write_structures
from torch_gptff.workflows import SurfaceEnergies, surface_energies

GIVEN = ("--as-given", "--thickness", 5, "--vacuum", 8)


@pytest.fixture
def salt_file(tmp_path: Path) -> Path:
    write_structures(tmp_path / "salt.extxyz", [bulk("NaCl", "rocksalt", a=5.6)])
    return tmp_path / "salt.extxyz"


def test_the_numbers_of_the_workflow(call, checkpoint: Path, salt_file: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    result = call("surface", salt_file, *GIVEN, "--unrelaxed", "--json", out, "--report", page)
    assert result.exit_code == 0, result.output
    expected = surface_energies(
        bulk("NaCl", "rocksalt", a=5.6),
        GPTFFCalculator(checkpoint, device="cpu", dtype=torch.float64),
        thickness=5,
        vacuum=8,
        relax_positions=False,
    )
    (stored,) = json.loads(out.read_text())["results"]
    found = SurfaceEnergies.from_dict(stored)
    rows = [line.split() for line in result.stdout.splitlines()[-3:]]
    for row, one, other in zip(rows, found.surfaces, expected.surfaces, strict=True):
        assert one.unrelaxed_energy == pytest.approx(other.unrelaxed_energy, abs=1e-8)
        assert f"{one.unrelaxed_energy:.4f}" in row
        assert row[-3:] == [*(("yes", "no") if one.is_symmetric else ("NO", "YES")), "yes"]
    assert "differ: the energy is the mean of both" in result.stdout
    assert_self_contained(page.read_text(encoding="utf-8"))
    again = call("surface", salt_file, *GIVEN, "--unrelaxed", "--json", out, "--resume")
    assert f"{salt_file}: done before" in again.stdout
    other = call("surface", salt_file, *GIVEN, "--json", out, "--resume")
    assert other.exit_code == 1
    assert "with unrelaxed" in other.stderr


def test_what_did_not_converge_is_told(call, salt_file: Path) -> None:
    result = call("surface", salt_file, *GIVEN, "--max-steps", 1, "--fmax", "1e-9")
    assert result.exit_code == 1
    assert "NOT CONVERGED" in result.stdout


def test_too_little_vacuum_is_refused(call, salt_file: Path) -> None:
    result = call("surface", salt_file, "--as-given", "--vacuum", 4)
    assert result.exit_code == 1
    assert "a slab would feel its images: take more vacuum" in " ".join(result.stderr.split())
