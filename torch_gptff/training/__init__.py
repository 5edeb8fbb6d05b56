"""Training: from a folder of labelled frames to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily
from torch_gptff.moved import moved_name

if TYPE_CHECKING:
    from torch_gptff.training.config import TrainingConfig
    from torch_gptff.training.module import EnergyModelModule
    from torch_gptff.training.muon import Muon
    from torch_gptff.training.record import LearningCurves, TrainingRun
    from torch_gptff.training.run import train

__all__ = ["EnergyModelModule", "LearningCurves", "Muon", "TrainingConfig", "TrainingRun", "train"]

import_lazily(
    __name__,
    {
        ".config": "TrainingConfig",
        ".module": "EnergyModelModule",
        ".muon": "Muon",
        ".record": "LearningCurves TrainingRun",
        ".run": "train",
    },
    otherwise=moved_name,
)
