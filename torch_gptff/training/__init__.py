"""Training: from a folder of labelled frames to a model, fine-tuned, compared and measured."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch_gptff.training.config import TrainingConfig
    from torch_gptff.training.evaluation import Evaluation, evaluate
    from torch_gptff.training.module import EnergyModelModule
    from torch_gptff.training.muon import Muon
    from torch_gptff.training.run import TrainingRun, train

_HOMES = {
    "TrainingConfig": "config",
    "Evaluation": "evaluation",
    "evaluate": "evaluation",
    "EnergyModelModule": "module",
    "Muon": "muon",
    "TrainingRun": "run",
    "train": "run",
}

__all__ = ["EnergyModelModule", "Evaluation", "Muon", "TrainingConfig", "TrainingRun", "evaluate", "train"]


def __getattr__(name: str) -> Any:
    """Import what is asked for: Lightning takes seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
