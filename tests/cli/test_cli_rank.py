"""``torch-gptff rank``: the numbers of the workflow, and the files that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from ase.build import bulk
from html_page import assert_self_contained

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.io.structures import write_structures
from torch_gptff.workflows import PolymorphRanking, rank_polymorphs

STRUCTURES = {
    "rocksalt": bulk("NaCl", "rocksalt", a=5.6),
    "cubic": bulk("NaCl", "rocksalt", a=5.6, cubic=True),
    "cesium-chloride": bulk("NaCl", "cesiumchloride", a=3.4),
}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name, atoms in STRUCTURES.items():
        write_structures(tmp_path / f"{name}.extxyz", [atoms])
    return [tmp_path / f"{name}.extxyz" for name in STRUCTURES]


def test_the_numbers_of_the_workflow(call, checkpoint: Path, files: list[Path], tmp_path: Path) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    result = call("rank", *files, "--as-given", "--json", out, "--report", page)
    assert result.exit_code == 0, result.output
    calculator = GPTFFCalculator(checkpoint, device="cpu", dtype=torch.float64)
    expected = rank_polymorphs(STRUCTURES, calculator, relax_first=False)
    found = PolymorphRanking.from_dict(json.loads(out.read_text())["ranking"])
    assert len(found.distinct) == 2
    for one, other in zip(found.entries, expected.entries, strict=True):
        assert one.energy_above_lowest == pytest.approx(other.energy_above_lowest, abs=1e-8)
        assert (one.space_group, bool(one.duplicate_of)) == (other.space_group, bool(other.duplicate_of))
    rows = result.stdout.splitlines()[-3:]
    assert [f"{1000 * entry.energy_above_lowest:.1f}" for entry in found.entries] == [row.split()[1] for row in rows]
    assert_self_contained(page.read_text(encoding="utf-8"))


def test_other_compositions_are_refused_before_anything_is_computed(call, files: list[Path], tmp_path: Path) -> None:
    write_structures(tmp_path / "sodium.extxyz", [bulk("Na", "bcc", a=4.2)])
    result = call("rank", *files, tmp_path / "sodium.extxyz")
    assert result.exit_code == 1
    assert "sodium.extxyz is Na: rank those of one composition" in " ".join(result.stderr.split())
    assert "eV/atom" not in result.stdout
