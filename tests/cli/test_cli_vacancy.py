"""``torch-gptff vacancy``: the numbers of the workflow, and the files that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from ase.build import bulk
from html_page import assert_self_contained

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.io.structures import write_structures
from torch_gptff.workflows import VacancyFormation, vacancy_formation

GIVEN = ("--as-given", "--supercell", 2, 2, 2, "--chemical-potential", "Na=-1.5", "--chemical-potential", "Cl=-2")


@pytest.fixture
def salt_file(tmp_path: Path) -> Path:
    write_structures(tmp_path / "salt.extxyz", [bulk("NaCl", "rocksalt", a=5.6)])
    return tmp_path / "salt.extxyz"


def test_the_numbers_of_the_workflow(call, checkpoint: Path, salt_file: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    result = call("vacancy", salt_file, *GIVEN, "--unrelaxed", "--json", out, "--report", page)
    assert result.exit_code == 0, result.output
    expected = vacancy_formation(
        bulk("NaCl", "rocksalt", a=5.6),
        GPTFFCalculator(checkpoint, device="cpu", dtype=torch.float64),
        chemical_potentials={"Na": -1.5, "Cl": -2.0},
        supercell=(2, 2, 2),
        relax_positions=False,
    )
    (stored,) = json.loads(out.read_text())["results"]
    found = VacancyFormation.from_dict(stored)
    for one, other in zip(found.vacancies, expected.vacancies, strict=True):
        assert one.unrelaxed_energy == pytest.approx(other.unrelaxed_energy, abs=1e-8)
    rows = [line.split() for line in result.stdout.splitlines()[-2:]]
    for row, vacancy in zip(rows, expected.vacancies, strict=True):
        numbers = [f"{vacancy.chemical_potential:.4f}", f"{vacancy.unrelaxed_energy:.3f}", "–", "yes"]
        assert row == [str(salt_file), vacancy.element, str(vacancy.site), "1", *numbers]
    assert_self_contained(page.read_text(encoding="utf-8"))
    again = call("vacancy", salt_file, *GIVEN, "--unrelaxed", "--json", out, "--resume")
    assert f"{salt_file}: done before" in again.stdout
    other = call("vacancy", salt_file, *GIVEN, "--json", out, "--resume")
    assert other.exit_code == 1
    assert "with unrelaxed" in other.stderr


def test_what_did_not_converge_is_told(call, checkpoint: Path, salt_file: Path) -> None:
    result = call("vacancy", salt_file, *GIVEN, "--max-steps", 1, "--fmax", "1e-9")
    assert result.exit_code == 1
    assert "2 NOT CONVERGED" in result.stdout


@pytest.mark.parametrize("text", ["Na", "Na=", "Na=x"])
def test_a_chemical_potential_is_an_element_and_a_number(call, checkpoint: Path, salt_file: Path, text: str) -> None:
    result = call("vacancy", salt_file, "--chemical-potential", text)
    assert result.exit_code == 2
    assert "is not an element and a number" in " ".join(result.stderr.replace("│", " ").split())
