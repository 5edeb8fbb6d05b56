"""Equations of state: energies by volume, fits to them, and a benchmark against all-electron PBE."""

from torch_gptff.workflows.eos.benchmark import (
    EquationOfStateBenchmark,
    EquationOfStateComparison,
    compare_equation_of_state,
)
from torch_gptff.workflows.eos.curve import EquationOfState, equation_of_state
from torch_gptff.workflows.eos.fit import EquationOfStateFit, fit_equation_of_state
from torch_gptff.workflows.eos.reference import ReferenceCrystal, reference_crystals

__all__ = [
    "EquationOfState",
    "EquationOfStateBenchmark",
    "EquationOfStateComparison",
    "EquationOfStateFit",
    "ReferenceCrystal",
    "compare_equation_of_state",
    "equation_of_state",
    "fit_equation_of_state",
    "reference_crystals",
]
