"""Potentials for other programs."""

from torch_gptff.calculators.ase import GPTFFCalculator, potential_of
from torch_gptff.calculators.dispersion import DispersionCorrected, with_dispersion

__all__ = ["DispersionCorrected", "GPTFFCalculator", "potential_of", "with_dispersion"]
