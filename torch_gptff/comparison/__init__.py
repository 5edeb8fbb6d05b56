"""Comparison: several models trained on the same frames with the same settings, their errors and costs."""

from torch_gptff.comparison.compare import compare
from torch_gptff.comparison.record import ComparedModel, Comparison

__all__ = ["ComparedModel", "Comparison", "compare"]
