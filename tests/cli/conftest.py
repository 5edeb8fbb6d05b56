"""A small model with random weights, and a way to call the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ase import Atoms
from ase.build import bulk
from typer.testing import CliRunner

from torch_gptff import GPTFF, GPTFFConfig, Potential, save
from torch_gptff.cli import app

Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def _undrawn(undrawn: None) -> None:
    """The figures of reports are drawn in the tests of workflows."""


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    potential = Potential(GPTFF(GPTFFConfig(channels=16, num_layers=2)), {11: -1.0, 17: -2.0})
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save(potential, path, {"purpose": "tests"})
    return path


@pytest.fixture
def call(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command with the small model, unless it names another; exceptions that are no exits are raised."""
    monkeypatch.setenv("TORCH_GPTFF_MODEL", str(checkpoint))
    monkeypatch.delenv("TORCH_GPTFF_DEBUG", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def run(*arguments: object) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)

    return run


@pytest.fixture
def salt() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.5)
    atoms.rattle(0.1, seed=5)
    return atoms
