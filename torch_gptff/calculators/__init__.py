"""Potentials for other programs."""

from torch_gptff.calculators.ase import GPTFFCalculator, potential_of

__all__ = ["GPTFFCalculator", "potential_of"]
