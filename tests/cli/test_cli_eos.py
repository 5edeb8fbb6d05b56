"""``torch-gptff eos`` and ``eos-benchmark``: tables, files, resumption and failures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111
from ase.io import write

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.cli.eos import FOLLOW, Form
from torch_gptff.cli.eos_benchmark import CrystalSet
from torch_gptff.io.structures import write_structures
from torch_gptff.workflows import EquationOfState, EquationOfStateComparison, equation_of_state
from torch_gptff.workflows.eos.fit import FORMS
from torch_gptff.workflows.eos.reference import SETS


def test_choices_are_those_of_the_workflow() -> None:
    assert list(get_args(Form)) == list(FORMS)
    assert list(get_args(CrystalSet)) == list(SETS)


@pytest.fixture
def crystals(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "salt.extxyz", tmp_path / "other.extxyz"]
    for path, length in zip(paths, (5.5, 5.9), strict=True):
        write_structures(path, [bulk("NaCl", "rocksalt", a=length)])
    return paths


def test_the_same_as_by_hand(call, checkpoint: Path, crystals: list[Path], tmp_path: Path) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    options = (
        "--as-given",
        "--from",
        0.8,
        "--to",
        1.3,
        "--points",
        9,
        "--form",
        "vinet",
        "--json",
        out,
        "--report",
        page,
    )
    result = call("eos", *crystals, *options)
    document = json.loads(out.read_text())
    assert [found["file"] for found in document["results"]] == [str(path) for path in crystals]
    curves = [EquationOfState.from_dict(found) for found in document["results"]]
    calculator = GPTFFCalculator(checkpoint, device="cpu", dtype=torch.float64)
    ratios = np.linspace(0.8, 1.3, 9)
    by_hand = equation_of_state(bulk("NaCl", "rocksalt", a=5.5), calculator, ratios=ratios, form="vinet", follow=FOLLOW)
    np.testing.assert_allclose(curves[0].energies, by_hand.energies, atol=1e-8)
    assert [fit.form for fit in curves[0].fits] == [fit.form for fit in by_hand.fits]
    assert result.exit_code == (0 if all(curve.fits for curve in curves) else 1)
    rows = [line.split() for line in result.stdout.splitlines()[-2:]]
    for row, curve in zip(rows, curves, strict=True):
        assert row[1] == "NaCl"
        assert (row[2] == "–") == (not curve.fits)
        if curve.fits:
            assert float(row[2]) == pytest.approx(curve.fit.volume / 2, abs=6e-4)
    assert page.read_text().count("<svg") == 4  # two crystals and their curves


def test_no_minimum_is_told_and_fails(call, crystals: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    # a window so far out that energies of a model with a cutoff no longer change
    result = call("eos", crystals[0], "--as-given", "--from", 10, "--to", 11, "--json", out)
    assert result.exit_code == 1
    assert "NO FIT: no minimum in range" in result.stdout
    assert len(json.loads(out.read_text())["results"][0]["energies"]) == 13


def test_one_bad_file_in_a_list(call, crystals: list[Path], tmp_path: Path) -> None:
    slab = fcc111("Al", (1, 1, 2), vacuum=5)
    slab.info.clear()
    write_structures(tmp_path / "slab.extxyz", [slab])
    result = call("eos", tmp_path / "slab.extxyz", crystals[0], "--json", tmp_path / "out.json")
    assert result.exit_code == 1
    assert "slab.extxyz: an equation of state needs a crystal" in result.stderr
    document = json.loads((tmp_path / "out.json").read_text())
    assert len(document["results"]) == len(document["failures"]) == 1


def test_a_range_the_wrong_way_round_is_refused(call, crystals: list[Path]) -> None:
    result = call("eos", crystals[0], "--from", 1.1, "--to", 0.9)
    assert result.exit_code == 2
    assert "is not below" in result.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as that of the ACWF data, of sodium and chlorine."""
    (tmp_path / "xsf_unaries").mkdir()
    fits = {}
    for element, volume in (("Na", 37.0), ("Cl", 21.0), ("Cu", 12.0)):
        a = (4 * volume) ** (1 / 3)
        atoms = Atoms([element], [[0, 0, 0]], cell=(1 - np.eye(3)) * a / 2, pbc=True)
        write(tmp_path / f"xsf_unaries/{element}-FCC.xsf", atoms)
        fits[f"{element}-X/FCC"] = {"min_volume": volume, "bulk_modulus_ev_ang3": 0.05, "bulk_deriv": 4.0}
    document = {"BM_fit_data": fits, "num_atoms_in_sim_cell": dict.fromkeys(fits, 1)}
    (tmp_path / "results-unaries-verification-PBE-v1-AE-average.json").write_text(json.dumps(document))
    return tmp_path


@pytest.mark.slow
def test_benchmark_goes_on_where_it_was_killed(call, folder: Path, tmp_path: Path, checkpoint: Path) -> None:
    whole, part, page = tmp_path / "whole.json", tmp_path / "part.json", tmp_path / "page.html"
    result = call("eos-benchmark", folder, "--json", whole, "--report", page)
    assert result.exit_code == 0, result.output
    assert [line.split()[:2] for line in result.stdout.splitlines()[-2:]] == [["FCC", "3"], ["all", "3"]]
    assert "<svg" in page.read_text()

    # a run that stops dead after its first crystal
    code = f"""
import os
from torch_gptff.cli import app, results
write = results.Results.write
def write_and_die(*arguments):
    write(*arguments)
    os.kill(os.getpid(), 9)
results.Results.write = write_and_die
app(["eos-benchmark", {str(folder)!r}, "--model", {str(checkpoint)!r}, "--json", {str(part)!r}])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == -9
    assert len(json.loads(part.read_text())["results"]) == 1
    assert call("eos-benchmark", folder, "--json", part, "--resume").exit_code == 0
    found, expected = (
        [EquationOfStateComparison.from_dict(each) for each in json.loads(path.read_text())["results"]]
        for path in (part, whole)
    )
    assert [each.name for each in found] == ["Na-X/FCC", "Cl-X/FCC", "Cu-X/FCC"]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.energies, other.energies, atol=1e-5)


def test_benchmark_of_some_formulas(call, folder: Path, tmp_path: Path) -> None:
    formulas, out = tmp_path / "held-out.txt", tmp_path / "out.json"
    formulas.write_text("Cu\nNaCl\n")
    for resume in ((), ("--resume",)):
        result = call("eos-benchmark", folder, "--formulas", formulas, "--json", out, *resume)
        assert result.exit_code == 0, result.output
        assert [each["name"] for each in json.loads(out.read_text())["results"]] == ["Cu-X/FCC"]
    formulas.write_text("Ag")
    result = call("eos-benchmark", folder, "--formulas", formulas)
    assert result.exit_code == 2
    assert "no crystal of the set has one of these" in result.stderr


def test_a_folder_without_the_data_is_told(call, tmp_path: Path) -> None:
    result = call("eos-benchmark", tmp_path)
    assert result.exit_code == 1
    assert "name the folder of the ACWF data" in result.stderr
