"""What is done with a potential, through any ASE calculator."""

from torch_gptff.workflows.elastic_moduli import ElasticTensor
from torch_gptff.workflows.elasticity import elastic_tensor
from torch_gptff.workflows.eos import EquationOfState, equation_of_state
from torch_gptff.workflows.eos_comparison import (
    EquationOfStateBenchmark,
    EquationOfStateComparison,
    compare_equation_of_state,
)
from torch_gptff.workflows.eos_fit import EquationOfStateFit, fit_equation_of_state
from torch_gptff.workflows.eos_reference import ReferenceCrystal, reference_crystals
from torch_gptff.workflows.phonon_spectrum import PhononSpectrum
from torch_gptff.workflows.phonons import phonon_spectrum
from torch_gptff.workflows.relax import OPTIMIZERS, Relaxation, RelaxationStep, relax
from torch_gptff.workflows.trajectory import TrajectoryFile, TrajectoryWriter, open_trajectory

__all__ = [
    "OPTIMIZERS",
    "ElasticTensor",
    "EquationOfState",
    "EquationOfStateBenchmark",
    "EquationOfStateComparison",
    "EquationOfStateFit",
    "PhononSpectrum",
    "ReferenceCrystal",
    "Relaxation",
    "RelaxationStep",
    "TrajectoryFile",
    "TrajectoryWriter",
    "compare_equation_of_state",
    "elastic_tensor",
    "equation_of_state",
    "fit_equation_of_state",
    "open_trajectory",
    "phonon_spectrum",
    "reference_crystals",
    "relax",
]
