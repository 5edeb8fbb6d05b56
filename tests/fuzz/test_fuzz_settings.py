"""Settings that are nearly right: YAML files, changes on the command line, and configurations of models."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from fuzzing import Fuzz
from hypothesis import strategies as st
from mutations import NASTY, mutated

from torch_gptff.cli.train import changed
from torch_gptff.models import DimeNetConfig, GPTFFConfig, SchNetConfig, ViSNetConfig
from torch_gptff.training.config import PRESETS, TrainingConfig

FILES = [
    *(config.to_yaml().encode() for config in PRESETS.values()),
    b"preset: small-data\nmodel: {name: gptff, config: {channels: 32, num_layers: 1}}\n"
    b"data: {train: [a.extxyz, {path: b, frequency: 2}], split: random, workers: 2}\noptimizer: {lr: 1e-3}\n"
    b"batch: &b {max_frames: 4}\nloss: {energy: 1, forces: 1e1, function: l1}\nepochs: 3\nseed: 1\n",
]
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1e-3", "yes"])
)
values = st.recursive(
    scalars, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=5), each, max_size=3)
)


def test_yaml(tmp_path: Path, fuzz: Fuzz) -> None:
    path = tmp_path / "config.yaml"

    def use(content: bytes) -> None:
        path.write_bytes(content)
        config = TrainingConfig.from_yaml(path)
        path.write_text(config.to_yaml(), encoding="utf-8")
        assert TrainingConfig.from_yaml(path) == config

    fuzz(mutated(FILES), use)


def keys(table: dict[str, Any], before: str = "") -> list[str]:
    found = []
    for key, value in table.items():
        found += [before + key, *(keys(value, f"{before}{key}.") if isinstance(value, dict) else [])]
    return found


KEYS = [*keys(TrainingConfig().to_dict()), "model.config.channels", "preset", "", ".", "a.b", "model.config"]
texts = st.sampled_from([word.decode("utf-8", "replace") for word in NASTY]) | st.text(max_size=10)


def test_changes(fuzz: Fuzz) -> None:
    def use(changes: list[tuple[str, str]]) -> None:
        config = changed(TrainingConfig(), [f"{key}={value}" for key, value in changes])
        assert TrainingConfig.from_dict(config.to_dict()) == config

    fuzz(st.lists(st.tuples(st.sampled_from(KEYS) | st.text(max_size=5), texts), min_size=1, max_size=4), use)


@pytest.mark.parametrize("config", [TrainingConfig, GPTFFConfig, SchNetConfig, DimeNetConfig, ViSNetConfig])
def test_tables(config: Any, fuzz: Fuzz) -> None:
    def use(table: Any) -> None:
        made = config.from_dict(table)
        assert config.from_dict(made.to_dict()) == made

    names = st.sampled_from([field.name for field in fields(config)])
    fuzz(st.dictionaries(names, values, max_size=4) | values, use)
