"""Equations of state: energies by volume, fits to them, and a benchmark against all-electron PBE."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
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

import_lazily(
    __name__,
    {
        ".benchmark": "EquationOfStateBenchmark EquationOfStateComparison compare_equation_of_state",
        ".curve": "EquationOfState equation_of_state",
        ".fit": "EquationOfStateFit fit_equation_of_state",
        ".reference": "ReferenceCrystal reference_crystals",
    },
)
