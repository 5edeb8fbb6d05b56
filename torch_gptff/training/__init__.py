"""Training: from a folder of labelled frames to a model."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from torch_gptff.moved import moved_name

if TYPE_CHECKING:
    from torch_gptff.training.config import TrainingConfig
    from torch_gptff.training.module import EnergyModelModule
    from torch_gptff.training.muon import Muon
    from torch_gptff.training.record import LearningCurves, TrainingRun
    from torch_gptff.training.run import train

_HOMES = {
    "TrainingConfig": "config",
    "EnergyModelModule": "module",
    "Muon": "muon",
    "LearningCurves": "record",
    "TrainingRun": "record",
    "train": "run",
}

__all__ = ["EnergyModelModule", "LearningCurves", "Muon", "TrainingConfig", "TrainingRun", "train"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is used, since importing Lightning takes seconds."""
    if name not in _HOMES:
        return moved_name(__name__, name)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
