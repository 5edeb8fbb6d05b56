"""Potentials for other programs."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.calculators.ase import GPTFFCalculator, potential_of

__all__ = ["GPTFFCalculator", "potential_of"]

import_lazily(
    __name__,
    {
        ".ase": "GPTFFCalculator potential_of",
    },
)
