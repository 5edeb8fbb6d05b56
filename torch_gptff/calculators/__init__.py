"""Potentials for other programs."""

from torch_gptff.calculators.ase import GPTFFCalculator

__all__ = ["GPTFFCalculator"]
