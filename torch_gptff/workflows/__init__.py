"""Workflows: computations with any ASE calculator, each with a record of its result."""

from typing import TYPE_CHECKING

from torch_gptff import moved  # noqa: F401  (old names of modules)
from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.workflows.corrections import mp2020_correction
    from torch_gptff.workflows.diffraction import (
        LOCAL_STRUCTURES,
        DiffractionPattern,
        DiffractionSeries,
        PeakTrack,
        diffraction_pattern,
        diffraction_series,
        local_structure,
        structure_fractions,
    )
    from torch_gptff.workflows.diffusion import (
        ArrheniusFit,
        ArrheniusLine,
        Diffusion,
        DiffusionSeries,
        Estimate,
        IonDensity,
        Motion,
        diffusion,
        diffusion_series,
        fit_arrhenius,
        ion_density,
        ion_motion,
    )
    from torch_gptff.workflows.elastic import elastic_tensor
    from torch_gptff.workflows.elastic_moduli import ElasticTensor
    from torch_gptff.workflows.eos import (
        EquationOfState,
        EquationOfStateBenchmark,
        EquationOfStateComparison,
        EquationOfStateFit,
        ReferenceCrystal,
        compare_equation_of_state,
        equation_of_state,
        fit_equation_of_state,
        reference_crystals,
    )
    from torch_gptff.workflows.evaluate_many import EvaluatedStructure, evaluate_many
    from torch_gptff.workflows.frames import iterate_frames
    from torch_gptff.workflows.hull import ConvexHull, HullEntry, Phase, convex_hull
    from torch_gptff.workflows.kappa import thermal_conductivity
    from torch_gptff.workflows.md import (
        MolecularDynamicsFrame,
        MolecularDynamicsRun,
        MolecularDynamicsSettings,
        TrajectoryFile,
        TrajectoryWriter,
        molecular_dynamics,
        open_trajectory,
    )
    from torch_gptff.workflows.migration import MigrationPath
    from torch_gptff.workflows.neb import migration_path
    from torch_gptff.workflows.optimizers import OPTIMIZERS
    from torch_gptff.workflows.phonon_spectrum import PhononSpectrum
    from torch_gptff.workflows.phonons import phonon_spectrum
    from torch_gptff.workflows.qha import quasi_harmonic
    from torch_gptff.workflows.rank import (
        Polymorph,
        PolymorphRanking,
        RankedPolymorph,
        polymorph,
        rank_polymorphs,
        rank_relaxed,
    )
    from torch_gptff.workflows.relax import relax
    from torch_gptff.workflows.relax_many import relax_many
    from torch_gptff.workflows.relaxation import Relaxation, RelaxationStep
    from torch_gptff.workflows.screening import Screened, ScreeningResults, screen
    from torch_gptff.workflows.surface import Surface, SurfaceEnergies, surface_energies
    from torch_gptff.workflows.thermal_expansion import QuasiHarmonicCrystal
    from torch_gptff.workflows.thermal_transport import ThermalConductivity
    from torch_gptff.workflows.vacancy import Vacancy, VacancyFormation, vacancy_formation

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
    "EvaluatedStructure",
    "HullEntry",
    "IonDensity",
    "MigrationPath",
    "MolecularDynamicsFrame",
    "MolecularDynamicsRun",
    "MolecularDynamicsSettings",
    "Motion",
    "PeakTrack",
    "Phase",
    "PhononSpectrum",
    "Polymorph",
    "PolymorphRanking",
    "QuasiHarmonicCrystal",
    "RankedPolymorph",
    "ReferenceCrystal",
    "Relaxation",
    "RelaxationStep",
    "Screened",
    "ScreeningResults",
    "Surface",
    "SurfaceEnergies",
    "ThermalConductivity",
    "TrajectoryFile",
    "TrajectoryWriter",
    "Vacancy",
    "VacancyFormation",
    "compare_equation_of_state",
    "convex_hull",
    "diffraction_pattern",
    "diffraction_series",
    "diffusion",
    "diffusion_series",
    "elastic_tensor",
    "equation_of_state",
    "evaluate_many",
    "fit_arrhenius",
    "fit_equation_of_state",
    "ion_density",
    "ion_motion",
    "iterate_frames",
    "local_structure",
    "migration_path",
    "molecular_dynamics",
    "mp2020_correction",
    "open_trajectory",
    "phonon_spectrum",
    "polymorph",
    "quasi_harmonic",
    "rank_polymorphs",
    "rank_relaxed",
    "reference_crystals",
    "relax",
    "relax_many",
    "screen",
    "structure_fractions",
    "surface_energies",
    "thermal_conductivity",
    "vacancy_formation",
]

import_lazily(
    __name__,
    {
        ".corrections": "mp2020_correction",
        ".diffraction": (
            "LOCAL_STRUCTURES DiffractionPattern DiffractionSeries PeakTrack diffraction_pattern "
            "diffraction_series local_structure structure_fractions"
        ),
        ".diffusion": (
            "ArrheniusFit ArrheniusLine Diffusion DiffusionSeries Estimate IonDensity Motion diffusion "
            "diffusion_series fit_arrhenius ion_density ion_motion"
        ),
        ".elastic": "elastic_tensor",
        ".elastic_moduli": "ElasticTensor",
        ".eos": (
            "EquationOfState EquationOfStateBenchmark EquationOfStateComparison EquationOfStateFit "
            "ReferenceCrystal compare_equation_of_state equation_of_state fit_equation_of_state "
            "reference_crystals"
        ),
        ".evaluate_many": "EvaluatedStructure evaluate_many",
        ".frames": "iterate_frames",
        ".hull": "ConvexHull HullEntry Phase convex_hull",
        ".kappa": "thermal_conductivity",
        ".md": (
            "MolecularDynamicsFrame MolecularDynamicsRun MolecularDynamicsSettings TrajectoryFile "
            "TrajectoryWriter molecular_dynamics open_trajectory"
        ),
        ".migration": "MigrationPath",
        ".neb": "migration_path",
        ".optimizers": "OPTIMIZERS",
        ".phonon_spectrum": "PhononSpectrum",
        ".phonons": "phonon_spectrum",
        ".qha": "quasi_harmonic",
        ".rank": "Polymorph PolymorphRanking RankedPolymorph polymorph rank_polymorphs rank_relaxed",
        ".relax": "relax",
        ".relax_many": "relax_many",
        ".relaxation": "Relaxation RelaxationStep",
        ".screening": "Screened ScreeningResults screen",
        ".surface": "Surface SurfaceEnergies surface_energies",
        ".thermal_expansion": "QuasiHarmonicCrystal",
        ".thermal_transport": "ThermalConductivity",
        ".vacancy": "Vacancy VacancyFormation vacancy_formation",
    },
)
