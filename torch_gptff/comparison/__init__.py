"""Comparison: several models trained on the same frames with the same settings, their errors and costs."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.comparison.compare import compare
    from torch_gptff.comparison.record import ComparedModel, Comparison

__all__ = ["ComparedModel", "Comparison", "compare"]

import_lazily(
    __name__,
    {
        ".compare": "compare",
        ".record": "ComparedModel Comparison",
    },
)
