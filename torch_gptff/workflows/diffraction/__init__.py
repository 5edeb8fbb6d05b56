"""Powder diffraction of crystals and along trajectories, and the structure around each atom."""

from torch_gptff.workflows.diffraction.local_structure import LOCAL_STRUCTURES, local_structure, structure_fractions
from torch_gptff.workflows.diffraction.pattern import DiffractionPattern, diffraction_pattern
from torch_gptff.workflows.diffraction.peaks import PeakTrack
from torch_gptff.workflows.diffraction.series import DiffractionSeries, diffraction_series

__all__ = [
    "LOCAL_STRUCTURES",
    "DiffractionPattern",
    "DiffractionSeries",
    "PeakTrack",
    "diffraction_pattern",
    "diffraction_series",
    "local_structure",
    "structure_fractions",
]
