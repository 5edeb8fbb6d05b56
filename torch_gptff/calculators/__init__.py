"""Potentials for other programs."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.calculators.ase import GPTFFCalculator, potential_of
    from torch_gptff.calculators.dispersion import DispersionCorrected, with_dispersion

__all__ = ["DispersionCorrected", "GPTFFCalculator", "potential_of", "with_dispersion"]

import_lazily(
    __name__,
    {
        ".ase": "GPTFFCalculator potential_of",
        ".dispersion": "DispersionCorrected with_dispersion",
    },
)
