"""Powder diffraction of crystals and along trajectories, and the structure around each atom."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
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

import_lazily(
    __name__,
    {
        ".local_structure": "LOCAL_STRUCTURES local_structure structure_fractions",
        ".pattern": "DiffractionPattern diffraction_pattern",
        ".peaks": "PeakTrack",
        ".series": "DiffractionSeries diffraction_series",
    },
)
