"""``torch-gptff compare``: options to settings, and the table. The comparison itself is tested with the training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch  # noqa: F401  # before the command line, which imports it late

from torch_gptff.cli.compare import configurations
from torch_gptff.comparison import ComparedModel, Comparison
from torch_gptff.errors import ConfigError
from torch_gptff.evaluation.scores import Scores
from torch_gptff.training.config import TrainingConfig


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command asks for; it is told that all models are the same."""
    found: dict[str, Any] = {}

    def compare(configs: Mapping[str, TrainingConfig], out: Path, **options: Any) -> Comparison:
        found.update(configs=dict(configs), out=out, **options)
        options["progress"](next(iter(configs)), "epoch 1 of 1")
        mae, rmse = Scores(0.0125, 0.0734, None), Scores(0.02, 0.1, None)
        models = (ComparedModel(label, label, 12345, 3, 1.5, 0.0123, 45_000_000, "CPU", mae, rmse) for label in configs)
        return Comparison("test", {"frames": 7, "atoms": 70}, tuple(models))

    monkeypatch.setattr("torch_gptff.comparison.compare", compare)
    return found


def test_the_same_settings_for_every_model(call: Any, asked: dict[str, Any], tmp_path: Path) -> None:
    result = call("compare", "a.extxyz", "b.extxyz", "--out", tmp_path / "out", "--epochs", 3, "--split", "random",
                  "--set", "optimizer.lr=1.0e-3", "--set", "schnet.hidden_channels=16")  # fmt: skip
    assert result.exit_code == 0, result.output
    configs = asked["configs"]
    assert list(configs) == ["gptff", "schnet", "dimenet++", "visnet"]
    assert {name: dict(config.model.config) for name, config in configs.items() if config.model.config} == {
        "schnet": {"hidden_channels": 16}
    }
    for name, config in configs.items():
        assert config.model.name == name
        assert (config.epochs, config.optimizer.lr, config.seed) == (3, 1e-3, 0)
        assert [source.path for source in config.data.train] == ["a.extxyz", "b.extxyz"]
        assert (config.data.split, config.data.test_fraction) == ("random", 0.1)
    assert asked["out"] == tmp_path / "out"
    assert (asked["resume"], asked["accelerator"]) == (False, "auto")


def test_the_table(call: Any, asked: dict[str, Any], tmp_path: Path) -> None:
    result = call("compare", "a.extxyz", "--models", "schnet,visnet", "--out", tmp_path)
    head, schnet, visnet, end = result.stdout.splitlines()
    assert "energy MAE (meV/atom)" in head
    assert schnet.split() == ["schnet", "12,345", "12.50", "73.40", "–", "1.50", "12.3", "45"]
    assert visnet.startswith("visnet")
    assert end == f"errors on 7 test frames -> {tmp_path / 'comparison.html'}"


def test_settings_from_a_file(call: Any, asked: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("model: {name: gptff, config: {channels: 8}}\ndata: {train: [a.extxyz]}\nepochs: 7\nseed: 5\n")
    call("compare", "--config", path, "--models", "schnet", "--out", tmp_path, "--test", "t.extxyz", "--resume")
    config = asked["configs"]["schnet"]
    assert (config.model.name, dict(config.model.config)) == ("schnet", {})
    assert (config.epochs, config.seed, config.data.test_fraction) == (7, 5, 0.0)
    assert [source.path for source in (*config.data.train, *config.data.test)] == ["a.extxyz", "t.extxyz"]
    assert asked["resume"]


def test_frames_for_the_test_leave_none_to_hold_out(call: Any, asked: dict[str, Any], tmp_path: Path) -> None:
    call("compare", "a.extxyz", "--models", "schnet", "--out", tmp_path, "--test", "t.extxyz")
    assert asked["configs"]["schnet"].data.test_fraction == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--models", "schnet"], 2, "name the data"),
        (["a.extxyz", "--models", ","], 2, "name models, each once"),
        (["a.extxyz", "--models", "schnet,schnet"], 2, "name models, each once"),
        (["a.extxyz", "--models", "schnet", "--set", "schnet.cutoff"], 2, "is not KEY=VALUE"),
        (["a.extxyz", "--models", "schnett"], 1, "no model 'schnett'; there are dimenet++"),
        (["a.extxyz", "--models", "schnet", "--set", "schnet.cutof=3"], 1, "did you mean 'cutoff'"),
        (["a.extxyz", "--models", "schnet", "--set", "visnet.cutoff=3"], 1, "unknown key"),
        (["a.extxyz", "--models", "schnet", "--preset", "large"], 1, "no preset 'large'"),
    ],
)
def test_what_it_refuses(
    call: Any, asked: dict[str, Any], tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    result = call("compare", *arguments, "--out", tmp_path)
    assert result.exit_code == code
    assert message in " ".join(result.output.replace("│", " ").split())
    assert not asked


def test_a_setting_out_of_range_names_the_model() -> None:
    with pytest.raises(ConfigError, match=r"^visnet: lmax must be 1 or 2"):
        configurations(TrainingConfig(), "schnet,visnet", ["visnet.lmax=3"])
