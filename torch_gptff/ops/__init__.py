"""Operators: the parts of the model where the time goes, fused."""

from torch_gptff.ops.angle_sum import angle_sum
from torch_gptff.ops.eager import Inputs

__all__ = ["Inputs", "angle_sum"]
