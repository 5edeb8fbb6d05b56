"""Energy models: GPTFF, and what any other model must be to take its place."""

from torch_gptff.models.base import EnergyModel
from torch_gptff.models.config import GPTFFConfig
from torch_gptff.models.gptff import GPTFF
from torch_gptff.models.registry import build_model, register_model

__all__ = ["GPTFF", "EnergyModel", "GPTFFConfig", "build_model", "register_model"]
