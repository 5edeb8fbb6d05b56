"""``torch-gptff hull``: tables, files, resumption, and elements that are missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ase.build import bulk, molecule

from torch_gptff.io.structures import write_structures
from torch_gptff.workflows import ConvexHull, Phase


@pytest.fixture
def phases(tmp_path: Path) -> list[Path]:
    crystals = {
        "sodium": bulk("Na", "bcc", a=4.2),
        "chlorine": bulk("Cl", "fcc", a=4.5),
        "salt": bulk("NaCl", "rocksalt", a=5.6),
        "caesium": bulk("NaCl", "cesiumchloride", a=3.4),
    }
    for name, atoms in crystals.items():
        write_structures(tmp_path / f"{name}.extxyz", [atoms])
    return [tmp_path / f"{name}.extxyz" for name in crystals]


def test_table_file_and_report(call, phases: list[Path], tmp_path: Path) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    result = call("hull", *phases, "--as-given", "--json", out, "--report", page)
    assert result.exit_code == 0, result.output
    document = json.loads(out.read_text())
    energies = {
        Path(found["file"]).stem: Phase.from_dict(found).energy / len(Phase.from_dict(found).atoms)
        for found in document["results"]
    }
    hull = ConvexHull.from_dict(document["hull"])
    formation = {Path(entry.label).stem: entry.formation_energy for entry in hull.entries}
    elements = (energies["sodium"] + energies["chlorine"]) / 2
    assert formation["sodium"] == pytest.approx(0, abs=1e-9)
    for name in ("salt", "caesium"):
        assert formation[name] == pytest.approx(energies[name] - elements, abs=1e-9)
    rows = [line.split() for line in result.stdout.splitlines()[-4:]]
    for row, entry in zip(rows, hull.entries, strict=True):
        assert float(row[3]) == pytest.approx(1000 * entry.formation_energy, abs=0.06)
        assert float(row[4]) == pytest.approx(1000 * entry.energy_above_hull, abs=0.06)
        assert (row[5] == "stable") == entry.is_stable
    assert page.read_text().count("<svg") == 1 + len(hull.stable)
    again = call("hull", *phases, "--as-given", "--json", out, "--resume")
    assert again.stdout.count("done before") == 4


def test_corrections(call, phases: list[Path], tmp_path: Path) -> None:
    """Those of chlorides move the salts alone, by 0.614 eV for a chlorine."""
    found = []
    for choice in ("none", "mp2020"):
        out = tmp_path / f"{choice}.json"
        result = call("hull", *phases, "--as-given", "--json", out, "--corrections", choice)
        assert result.exit_code == 0, result.output
        found.append(ConvexHull.from_dict(json.loads(out.read_text())["hull"]))
    moved = [
        after.formation_energy - before.formation_energy
        for before, after in zip(*(hull.entries for hull in found), strict=True)
    ]
    assert moved == pytest.approx([0, 0, -0.307, -0.307], abs=1e-6)
    result = call(
        "hull", *phases, "--as-given", "--json", tmp_path / "none.json", "--corrections", "mp2020", "--resume"
    )
    assert result.exit_code == 1
    assert "corrections" in result.stderr


def test_missing_elements_and_molecules(call, phases: list[Path], tmp_path: Path) -> None:
    result = call("hull", *phases[1:], "--as-given", "--json", tmp_path / "out.json")
    assert result.exit_code == 1
    assert "there is no phase of Na alone" in result.stderr
    assert len(json.loads((tmp_path / "out.json").read_text())["results"]) == 3  # computed once, and kept
    write_structures(tmp_path / "water.xyz", [molecule("H2O")])
    result = call("hull", tmp_path / "water.xyz", *phases, "--as-given")
    assert result.exit_code == 1
    assert "a formation energy needs a crystal" in result.stderr
    assert "stable" in result.stdout
