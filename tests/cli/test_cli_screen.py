"""torch-gptff screen: from files to a table, structures and reasons of failures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.io import read, write

from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.io import save


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    small = GPTFFConfig(channels=16, heads=1, num_layers=1, feedforward_channels=16, cutoff=4.0, max_z=92)
    save(Potential(GPTFF(small)).eval(), tmp_path / "small.gptff")
    return tmp_path / "small.gptff"


def test_a_screening_goes_on_and_ends_in_a_table(call: Any, model: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pip install 'torch-gptff[screen]'")
    frames = [bulk("Cu"), bulk("NaCl", "rocksalt", a=5.6), bulk("Cu") * (2, 1, 1)]
    for number, atoms in enumerate(frames):
        atoms.rattle(0.02, seed=number)
    write(tmp_path / "frames.extxyz", frames)
    near = Atoms("Cu2", [[0, 0, 0], [0, 0, 0.2]], cell=[9, 9, 9], pbc=True)
    write(tmp_path / "near.vasp", near)
    write(tmp_path / "heavy.vasp", Atoms("Pu", cell=[4, 4, 4], pbc=True))
    names = [str(tmp_path / name) for name in ("frames.extxyz", "near.vasp", "heavy.vasp")]
    out = tmp_path / "out"
    command = ["screen", *names, "--model", model, "--out", out, "--set", "max_steps=2"]
    result = call(*command)
    assert result.exit_code == 1, result.output
    assert "UnsupportedElementError" in result.output
    lines = (out / "results.jsonl").read_text().splitlines()
    assert len(lines) == 1 + 4
    settings = json.loads(lines[0])["settings"]
    assert settings["what"] == "relax"
    assert settings["settings"] == {"max_steps": 2}
    table = parquet.read_table(out / "table.parquet").to_pylist()
    assert [row["status"] for row in table] == ["done", "done", "done", "failed"]
    assert [row["n_atoms"] for row in table] == [1, 2, 2, 1]
    assert table[3]["reason"] == "UnsupportedElementError"
    reached = read(out / "structures.extxyz", ":")
    assert [atoms.info["label"] for atoms in reached] == [f"{names[0]}@{number}" for number in range(3)]
    assert [atoms.get_potential_energy() for atoms in reached] == pytest.approx([row["energy"] for row in table[:3]])
    again = call(*command)
    assert again.exit_code == 1
    assert (out / "results.jsonl").read_text().splitlines() == lines, "nothing is computed twice"
    other = call(*command[:-1], "max_steps=3")
    assert other.exit_code == 1
    assert "other settings" in " ".join(other.output.split())


def test_settings_are_names_and_values(call: Any, model: Path, tmp_path: Path) -> None:
    write(tmp_path / "one.vasp", bulk("Cu"))
    result = call("screen", tmp_path / "one.vasp", "--model", model, "--out", tmp_path / "out", "--set", "fmax")
    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()
