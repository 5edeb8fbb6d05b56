"""A folder of frames with true labels, and a run that takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase.io import write
from emt_frames import MODEL, emt_frames

from torch_gptff.training import TrainingConfig


@pytest.fixture(scope="session")
def metals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty frames."""
    path = tmp_path_factory.mktemp("frames") / "metals.extxyz"
    write(path, emt_frames(40, seed=1))
    return path


@pytest.fixture(scope="session")
def config(metals: Path) -> TrainingConfig:
    """Three epochs of eight steps with a small model."""
    return TrainingConfig.from_dict(
        {
            "preset": "small-data",
            "model": {"config": MODEL},
            "data": {"train": [str(metals)], "split": "random", "validation_fraction": 0.2},
            "optimizer": {"name": "adamw", "lr": 2e-3, "weight_decay": 1e-5},
            "epochs": 3,
        }
    )


@pytest.fixture
def without_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are evaluated, and have no page, which takes longer than the rest."""
    monkeypatch.setattr("torch_gptff.training.report.write_training_report", lambda *_: None)
