"""The configuration of a training run: YAML there and back, and what it refuses."""

from __future__ import annotations

import pytest

from torch_gptff.errors import ConfigError
from torch_gptff.training.config import PRESETS, TrainingConfig


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_yaml(name, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(TrainingConfig.preset(name).to_yaml())
    assert TrainingConfig.from_yaml(path) == TrainingConfig.preset(name)


def test_paper_preset_is_the_papers():
    paper = TrainingConfig.preset("paper")
    assert (paper.optimizer.lr, paper.optimizer.final_lr) == (2e-4, 5e-6)
    assert (paper.epochs, paper.frames_per_epoch) == (500, 1_000_000)
    assert (paper.loss.function, paper.loss.energy, paper.loss.forces, paper.loss.stress) == ("huber", 1, 1, 1)


def test_a_preset_is_changed_key_by_key():
    config = TrainingConfig.from_dict({"preset": "small-data", "optimizer": {"lr": 1e-3}, "epochs": 7})
    preset = TrainingConfig.preset("small-data")
    assert config.optimizer.lr == 1e-3
    assert config.optimizer.ema == preset.optimizer.ema
    assert config.epochs == 7
    assert config.loss == preset.loss


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"epoch": 3}, "unknown key 'epoch': did you mean 'epochs'"),
        ({"optimizer": {"learning": 1}}, "unknown key 'optimizer.learning'"),
        ({"loss": {"function": "hubert"}}, "loss.function must be 'huber', 'l1' or 'l2'; got 'hubert'"),
        ({"loss": 3}, "loss must be a table"),
        ({"loss": {"energy": 0, "forces": 0, "stress": 0}}, "loss must be of something"),
        ({"optimizer": {"name": "sgd"}}, "optimizer.name must be 'adamw' or 'muon'; got 'sgd'"),
        ({"optimizer": {"lr": 1e-6}}, "optimizer.final_lr must be in"),
        ({"batch": {"max_frames": 0}}, "batch.max_frames must be at least 1"),
        ({"data": {"split": "year"}}, "data.split must be"),
        ({"data": {"validation_fraction": 1.5}}, "data.validation_fraction must be in"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"precision": "float16"}, "precision must be"),
        ({"preset": "huge"}, "no preset 'huge'"),
    ],
)
def test_bad_settings_are_named(table, message):
    with pytest.raises(ConfigError, match=message):
        TrainingConfig.from_dict(table)


def test_a_file_that_is_no_table_is_named(tmp_path):
    path = tmp_path / "config.yaml"
    for text in ("- 1\n- 2\n", "a: [1\n"):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"config\.yaml"):
            TrainingConfig.from_yaml(path)
