"""``torch-gptff elastic``: tables, files, resumption and failures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from torch_gptff.io.structures import write_structures
from torch_gptff.workflows import ElasticTensor

QUICK = ("--as-given", "--clamped")


@pytest.fixture
def crystals(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "salt.extxyz", tmp_path / "other.extxyz"]
    for path, length in zip(paths, (5.5, 5.9), strict=True):
        write_structures(path, [bulk("NaCl", "rocksalt", a=length)])
    return paths


def test_table_file_and_report(call, crystals: list[Path], tmp_path: Path) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    result = call("elastic", *crystals, *QUICK, "--json", out, "--report", page)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()[-2:]]
    document = json.loads(out.read_text())
    assert [found["file"] for found in document["results"]] == [str(path) for path in crystals]
    tensors = [ElasticTensor.from_dict(found) for found in document["results"]]
    for row, tensor in zip(rows, tensors, strict=True):
        assert row[1] == "NaCl"
        assert float(row[2]) == pytest.approx(tensor.bulk_modulus, abs=0.06)
        assert row[-1] == ("yes" if tensor.is_stable else "NO")
        assert not tensor.relaxed
    html = page.read_text()
    assert html.count("<svg") == len(tensors) + 2 * sum(tensor.is_stable for tensor in tensors)
    assert "salt.extxyz" in html


def test_one_bad_file_in_a_list(call, crystals: list[Path], tmp_path: Path) -> None:
    write_structures(tmp_path / "water.xyz", [molecule("H2O")])
    result = call("elastic", tmp_path / "water.xyz", crystals[0], *QUICK, "--json", tmp_path / "out.json")
    assert result.exit_code == 1
    assert "water.xyz: an elastic tensor needs a crystal" in result.stderr
    document = json.loads((tmp_path / "out.json").read_text())
    assert len(document["results"]) == len(document["failures"]) == 1


def test_a_run_goes_on_where_it_was_stopped(call, crystals: list[Path], tmp_path: Path) -> None:
    out, whole = tmp_path / "out.json", tmp_path / "whole.json"
    call("elastic", *crystals, *QUICK, "--json", whole)
    call("elastic", crystals[0], *QUICK, "--json", out)
    result = call("elastic", *crystals, *QUICK, "--json", out, "--resume")
    assert result.exit_code == 0
    assert f"{crystals[0]}: done before" in result.stdout
    found, expected = (
        [ElasticTensor.from_dict(each) for each in json.loads(path.read_text())["results"]] for path in (out, whole)
    )
    assert len(found) == 2
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.stiffness, other.stiffness, atol=1e-6)


def test_a_run_does_not_go_on_with_another(call, crystals: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    call("elastic", crystals[0], *QUICK, "--json", out)
    before = out.read_bytes()
    result = call("elastic", *crystals, *QUICK, "--json", out, "--resume", "--max-strain", "0.01")
    assert result.exit_code == 1
    assert "was made with max_strain 0.005, and this is 0.01" in result.stderr
    out.with_name("other.json").write_text("{}")
    assert call("elastic", *crystals, "--json", out.with_name("other.json"), "--resume").exit_code == 1
    assert call("elastic", *crystals, "--resume").exit_code == 2
    assert out.read_bytes() == before


def test_a_structure_that_does_not_relax_is_told(call, salt: Atoms, tmp_path: Path) -> None:
    write_structures(tmp_path / "salt.extxyz", [salt])
    result = call("elastic", tmp_path / "salt.extxyz", "--max-steps", "1")
    assert result.exit_code == 1
    assert "has not relaxed in 1 steps" in result.stderr
