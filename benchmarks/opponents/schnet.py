"""SchNet of PyG on this package's periodic graph, with random weights."""

from __future__ import annotations

from typing import Any

import torch

from opponents.ours import prebuilt
from torch_gptff import GPTFFCalculator, Potential
from torch_gptff.models import SchNet

__all__ = ["calculator", "prebuilt"]


def calculator(device: str, skin: float = 0.0) -> Any:
    """An ASE calculator."""
    torch.manual_seed(0)
    return GPTFFCalculator(Potential(SchNet()), device=device, skin=skin)
