"""The configuration of a training run: YAML there and back, and what it refuses."""

from __future__ import annotations

import pytest

from torch_gptff.cli.train import changed
from torch_gptff.errors import ConfigError
from torch_gptff.training.config import PRESETS, DataSettings, SourceSettings, TrainingConfig


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


@pytest.mark.parametrize("text", ["1e-3", "0.001", "1.0e-3", "'0.001'"])
def test_a_number_in_the_notation_of_the_field(text, tmp_path):
    """YAML 1.1 takes 1e-3 for text, since it has no dot."""
    path = tmp_path / "config.yaml"
    path.write_text(f"preset: small-data\noptimizer: {{lr: {text}}}\n")
    for config in (TrainingConfig.from_yaml(path), changed(TrainingConfig(), [f"optimizer.lr={text}"])):
        assert config.optimizer.lr == 1e-3
        assert isinstance(config.optimizer.lr, float)


def test_whole_numbers():
    config = changed(TrainingConfig(), ["frames_per_epoch=1e6", "loss.energy=2", "patience=3.0"])
    assert repr((config.frames_per_epoch, config.loss.energy, config.patience)) == "(1000000, 2.0, 3)"
    assert changed(config, ["frames_per_epoch=null"]).frames_per_epoch is None
    assert changed(config, ["model.learning_rates={readout: 1e-1}"]).model.learning_rates == {"readout": 0.1}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("epochs=2.5", "epochs must be a whole number; got 2.5"),
        ("epochs=yes", "epochs must be a whole number; got True"),
        ("epochs=", "epochs must be a whole number; got None"),
        ("data.workers=1.5", "data.workers must be a whole number; got 1.5"),
        ("batch.max_frames=yes", "batch.max_frames must be a whole number; got True"),
        ("optimizer.lr=fast", "optimizer.lr must be a finite number; got 'fast'"),
        ("optimizer.lr=.inf", "optimizer.lr must be a finite number; got inf"),
        ("optimizer.lr=.nan", "optimizer.lr must be a finite number; got nan"),
        ("optimizer.lr=[1]", r"optimizer.lr must be a finite number; got \[1\]"),
        ("optimizer=muon", "optimizer must be a table of settings; got 'muon'"),
        ("optimizer.lr.x=1", "optimizer.lr must be a finite number; got {'x': 1}"),
        ("optimizer.weight_decay=-1", "optimizer.weight_decay must be at least 0"),
        ("loss.force_norm=1", "loss.force_norm must be true or false; got 1"),
        ("model.name=3", "model.name must be text; got 3"),
        ("model.config=[1]", r"model.config must be a table; got \[1\]"),
        ("model.freeze=readout", "model.freeze must be a list; got 'readout'"),
        ("model.freeze=[1]", r"model.freeze\[0\] must be text; got 1"),
        ("model.learning_rates={readout: fast}", "model.learning_rates.readout must be a finite number"),
        ("data.train=frames.xyz", "data.train must be a list; got 'frames.xyz'"),
        ("data.train=[3]", r"data.train\[0\].path must be text; got 3"),
        ("data.train=[{path: a, weigth: 2}]", r"unknown key 'data.train\[0\].weigth': did you mean 'weight'"),
        ("data.split=no", "data.split must be text; got False"),
        ("frames_per_epoch=many", "frames_per_epoch must be a whole number; got 'many'"),
        ("precision=32", "precision must be text; got 32"),
        ("seed=-1", "seed must be at least 0"),
        ("preset=[1]", r"no preset \[1\]"),
        ("epochs=[1", "--set epochs=.*not YAML"),
        ("epochs=2001-99-99", "not YAML: month must be in"),
        ("epochs=" + "[" * 100_000, "nested too deeply"),
        ("=3", "unknown key ''"),
    ],
)
def test_values_of_another_type_are_named(assignment, message):
    with pytest.raises(ConfigError, match=message):
        changed(TrainingConfig(), [assignment])


def test_values_of_another_type_are_refused_in_python_too():
    with pytest.raises(ConfigError, match=r"epochs must be a whole number; got 2\.5"):
        TrainingConfig(epochs=2.5)
    with pytest.raises(ConfigError, match="workers must be a whole number"):
        TrainingConfig().changed(data=DataSettings(workers="many"))
    assert DataSettings(train=["a.xyz", SourceSettings("b.xyz")]).train == (
        SourceSettings("a.xyz"),
        SourceSettings("b.xyz"),
    )


@pytest.mark.parametrize("text", [b"\xef\xbb\xbfepochs: 3\n", "epochs: 3\n".encode("utf-16")])
def test_a_byte_order_mark_is_no_part_of_a_setting(text, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes(text)
    assert TrainingConfig.from_yaml(path).epochs == 3


@pytest.mark.parametrize(
    "text",
    [
        b"epochs: \xff",
        b"epochs: 3\x00",
        "\n".join(["a0: &a0 [1, 1]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]).encode(),
        b"model: &m {config: *m}",
        b"? {a: 1}\n: 3",
        b"!!python/object/apply:os.system ['true']",
        b"",
    ],
)
def test_what_is_no_settings_is_named(text, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        TrainingConfig.from_yaml(path)
