"""``torch-gptff distill``: from seeds and EMT to a dataset, and to a student of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write

from torch_gptff import GPTFF, GPTFFConfig, Potential, load, save
from torch_gptff.datasets import open_dataset

QUICK = ("--strained", 2, "--rattled", 3, "--rescaled", 1, "--temperatures", "")


@pytest.fixture
def copper(tmp_path: Path) -> Path:
    path = tmp_path / "copper.extxyz"
    write(path, [bulk("Cu"), bulk("Cu", "bcc", a=2.87)])
    return path


def test_a_dataset_of_emt(call, copper: Path, tmp_path: Path) -> None:
    arguments = ("distill", copper, "--teacher", "emt", "--out", tmp_path / "out", *QUICK)
    result = call(*arguments)
    assert result.exit_code == 0
    assert "14 frames of" in result.stdout
    assert "2 seed, 4 strained, 6 rattled, 2 rescaled" in result.stdout
    assert len(open_dataset(tmp_path / "out" / "dataset")) == 14
    assert (tmp_path / "out" / "coverage.html").is_file()
    assert call(*arguments).exit_code == 0  # there already
    result = call(*arguments, "--seed", 1)
    assert result.exit_code == 1
    assert "belongs to a distillation with other settings" in result.stderr


def test_a_selection(call, copper: Path, tmp_path: Path) -> None:
    model = tmp_path / "committee.safetensors"
    save(Potential(GPTFF(GPTFFConfig(channels=4, num_layers=1, num_readouts=2))), model)
    options = (
        "--teacher",
        "ase.calculators.emt:EMT",
        "--teacher-arguments",
        '{"asap_cutoff": true}',
        "--extxyz",
        *QUICK,
    )
    result = call("distill", copper, *options, "--out", tmp_path / "out", "--select-by", model, "--keep", 3)
    assert result.exit_code == 0
    assert "3 frames of" in result.stdout
    assert (tmp_path / "out" / "frames.extxyz").is_file()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the uncertainties are not calibrated")  # symmetry forbids forces in its frame
def test_a_student(call, copper: Path, tmp_path: Path) -> None:
    model = {"config": {"channels": 4, "num_layers": 1, "num_radial": 3, "feedforward_channels": 8, "num_readouts": 2}}
    settings = ("--set", "epochs=1", "--set", f"model={json.dumps(model)}", "--set", "data.split=random")
    result = call("distill", copper, "-t", "emt", "-o", tmp_path / "out", *QUICK, "--train", "small-data", *settings)
    assert result.exit_code == 0, result.output
    student = load(tmp_path / "out" / "student" / "best.safetensors")
    assert student.model.config.channels == 4
    assert list(student.references) == ["emt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--teacher-arguments", "{"), "is not JSON"),
        (("--teacher-arguments", "[1]"), "is no JSON object"),
        (("--temperatures", "hot"), "could not convert"),
        (("--keep", 3), "--select-by and --keep go together"),
    ],
)
def test_called_wrongly(call, copper: Path, tmp_path: Path, options: tuple, message: str) -> None:
    result = call("distill", copper, "--teacher", "emt", "--out", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_what_fails_says_why(call, copper: Path, tmp_path: Path) -> None:
    write(tmp_path / "silicon.extxyz", bulk("Si"))
    for seeds, teacher, message in (
        (tmp_path / "absent.cif", "emt", "no structure file"),
        (copper, "nobody", "no model 'nobody'"),
        (tmp_path / "silicon.extxyz", "emt", "no frame is left of 1 seeds"),
    ):
        result = call("distill", seeds, "--teacher", teacher, "--out", tmp_path / "out", *QUICK)
        assert result.exit_code == 1
        assert message in result.stderr
