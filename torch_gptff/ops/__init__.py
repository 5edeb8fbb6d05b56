"""Fused operators for the most expensive parts of the model."""

from torch_gptff.ops.angle_sum import angle_sum
from torch_gptff.ops.eager import Inputs

__all__ = ["Inputs", "angle_sum"]
