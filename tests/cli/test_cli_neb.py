"""``torch-gptff neb``: the numbers of the workflow, and the files that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from ase import Atoms
from ase.build import bulk
from html_page import assert_self_contained

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.io.structures import write_structures
from torch_gptff.workflows import MigrationPath, migration_path

QUICK = ("--as-given", "--images", 1, "--max-steps", 2, "--fmax", "1e-12")


def hole(place: int) -> Atoms:
    salt = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    del salt[place]
    return salt


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    names = [tmp_path / "first.extxyz", tmp_path / "last.extxyz"]
    for name, place in zip(names, (0, 2), strict=True):
        write_structures(name, [hole(place)])
    return names


def test_the_numbers_of_the_workflow(call, checkpoint: Path, files: list[Path], tmp_path: Path) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    result = call("neb", *files, *QUICK, "--json", out, "--report", page)
    assert result.exit_code == 1, result.output  # for want of steps
    assert "NOT CONVERGED" in result.stdout
    calculator = GPTFFCalculator(checkpoint, device="cpu", dtype=torch.float64)
    expected = migration_path(hole(0), hole(2), calculator, images=1, max_steps=2, fmax=1e-12, relax_ends=False)
    (stored,) = json.loads(out.read_text())["results"]
    found = MigrationPath.from_dict(stored)
    assert found.energies == pytest.approx(expected.energies, abs=1e-8)
    assert f"{found.forward_barrier:.3f}" in result.stdout.splitlines()[-1]
    assert_self_contained(page.read_text(encoding="utf-8"))
    again = call("neb", *files, *QUICK, "--json", out, "--resume")
    assert "done before" in again.stdout
    other = call("neb", *files, *QUICK, "--images", 2, "--json", out, "--resume")
    assert "with images" in other.stderr


def test_ends_that_make_no_path(call, files: list[Path], tmp_path: Path) -> None:
    write_structures(tmp_path / "both.extxyz", [hole(0), hole(2)])
    result = call("neb", tmp_path / "both.extxyz", files[1])
    assert result.exit_code == 1
    assert "has 2 frames: choose one" in " ".join(result.stderr.split())
    result = call("neb", files[0], files[0], *QUICK)
    assert result.exit_code == 1
    assert "the two ends are the same" in " ".join(result.stderr.split())
