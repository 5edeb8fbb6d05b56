"""What is done with a potential, through any ASE calculator."""

from torch_gptff.workflows.arrhenius import ArrheniusFit, ArrheniusLine, fit_arrhenius
from torch_gptff.workflows.corrections import mp2020_correction
from torch_gptff.workflows.diffraction import (
    DiffractionPattern,
    DiffractionSeries,
    diffraction_pattern,
    diffraction_series,
)
from torch_gptff.workflows.diffusion import Diffusion, diffusion
from torch_gptff.workflows.diffusion_series import DiffusionSeries, diffusion_series
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
from torch_gptff.workflows.estimate import Estimate
from torch_gptff.workflows.frames import iterate_frames
from torch_gptff.workflows.hull import ConvexHull, HullEntry, Phase, convex_hull
from torch_gptff.workflows.ion_density import IonDensity, ion_density
from torch_gptff.workflows.local_structure import LOCAL_STRUCTURES, local_structure, structure_fractions
from torch_gptff.workflows.md import MolecularDynamicsFrame, molecular_dynamics
from torch_gptff.workflows.md_run import MolecularDynamicsRun
from torch_gptff.workflows.md_settings import MolecularDynamicsSettings
from torch_gptff.workflows.motion import Motion, ion_motion
from torch_gptff.workflows.peaks import PeakTrack
from torch_gptff.workflows.phonon_spectrum import PhononSpectrum
from torch_gptff.workflows.phonons import phonon_spectrum
from torch_gptff.workflows.relax import OPTIMIZERS, relax
from torch_gptff.workflows.relax_many import relax_many
from torch_gptff.workflows.relaxation import Relaxation, RelaxationStep
from torch_gptff.workflows.screening import Screened, ScreeningResults, screen
from torch_gptff.workflows.trajectory import TrajectoryFile, TrajectoryWriter, open_trajectory

__all__ = [
    "LOCAL_STRUCTURES",
    "OPTIMIZERS",
    "ArrheniusFit",
    "ArrheniusLine",
    "ConvexHull",
    "DiffractionPattern",
    "DiffractionSeries",
    "Diffusion",
    "DiffusionSeries",
    "ElasticTensor",
    "EquationOfState",
    "EquationOfStateBenchmark",
    "EquationOfStateComparison",
    "EquationOfStateFit",
    "Estimate",
    "HullEntry",
    "IonDensity",
    "MolecularDynamicsFrame",
    "MolecularDynamicsRun",
    "MolecularDynamicsSettings",
    "Motion",
    "PeakTrack",
    "Phase",
    "PhononSpectrum",
    "ReferenceCrystal",
    "Relaxation",
    "RelaxationStep",
    "Screened",
    "ScreeningResults",
    "TrajectoryFile",
    "TrajectoryWriter",
    "compare_equation_of_state",
    "convex_hull",
    "diffraction_pattern",
    "diffraction_series",
    "diffusion",
    "diffusion_series",
    "elastic_tensor",
    "equation_of_state",
    "fit_arrhenius",
    "fit_equation_of_state",
    "ion_density",
    "ion_motion",
    "iterate_frames",
    "local_structure",
    "molecular_dynamics",
    "mp2020_correction",
    "open_trajectory",
    "phonon_spectrum",
    "reference_crystals",
    "relax",
    "relax_many",
    "screen",
    "structure_fractions",
]
