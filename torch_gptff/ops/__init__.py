"""Fused operators for the most expensive parts of the model."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.ops.angle_sum import angle_sum
    from torch_gptff.ops.eager import Inputs

__all__ = ["Inputs", "angle_sum"]

import_lazily(
    __name__,
    {
        ".angle_sum": "angle_sum",
        ".eager": "Inputs",
    },
)
