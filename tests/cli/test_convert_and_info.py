"""``torch-gptff convert`` and ``info``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from ase import Atoms

from torch_gptff import GPTFF, GPTFFConfig, Potential, load, load_pretrained, save
from torch_gptff.prediction import Calibration


def test_info_says_what_a_checkpoint_is(call, checkpoint: Path) -> None:
    result = call("info", checkpoint)
    assert result.exit_code == 0
    potential = load(checkpoint)
    facts = {line[:30].strip().split("  ")[0]: line.split("  ")[-1].strip() for line in result.stdout.splitlines()}
    assert facts["parameters"] == f"{sum(parameter.numel() for parameter in potential.parameters()):,}"
    assert facts["elements"] == "H–Pu (94)"
    assert facts["cutoff of bonds"] == "6.0 Å"
    assert facts["extensive"] == "yes"
    assert facts["channels"] == "16"
    assert facts["purpose"] == "tests"
    assert facts["NaCl"].endswith(" eV")


def test_info_names_references_and_what_is_known_of_errors(call, tmp_path: Path) -> None:
    potential = Potential(GPTFF(GPTFFConfig(channels=4, num_layers=1, num_readouts=3)), {11: -1.0})
    potential.references = {"pbe": {11: -1.0, 17: -2.0}, "acwf": {17: -3.0}}
    save(potential.use_reference("pbe"), tmp_path / "raw.safetensors")
    potential.calibration = Calibration(energy=2.5, forces=1.25)
    potential.seen_pairs = frozenset({(11, 17)})
    save(potential, tmp_path / "model.safetensors")
    shown = call("info", tmp_path / "model.safetensors").stdout
    assert re.search(r"pbe +Na, Cl \(2\), in use\n", shown)
    assert re.search(r"acwf +Cl \(1\)\n", shown)
    assert "3, spread × 2.5 (energy), × 1.25 (forces)" in shown
    assert re.search(r"seen together +1 pairs of elements", shown)
    assert "3, not calibrated" in call("info", tmp_path / "raw.safetensors").stdout
    assert re.search(r"without a name +in use", call("info").stdout)


def test_info_of_the_environments_model(call) -> None:
    assert "num_layers" in call("info").stdout


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_convert_a_published_checkpoint(call, shared_data: Path, tmp_path: Path, salt: Atoms, version: str) -> None:
    source, target = shared_data / f"pretrained/gptff_{version}.pth", tmp_path / "new" / "out.safetensors"
    result = call("convert", source, target)
    assert result.exit_code == 0
    assert str(target) in result.stdout
    before, after = (load_pretrained(path).predict([salt])[0] for path in (source, target))
    assert torch.equal(before.energy, after.energy)
    assert before.forces is not None
    assert after.forces is not None
    assert torch.equal(before.forces, after.forces)
    shown = call("info", target).stdout
    assert f"gptff_{version}.pth" in shown
    assert "smooth at the cutoffs  no" in shown


def test_convert_refuses_what_is_no_published_checkpoint(call, checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.safetensors"
    for source in (checkpoint, tmp_path / "nowhere.pth"):
        result = call("convert", source, target)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: ")
        assert str(source) in result.stderr
        assert not target.exists()
