"""GPTFF, the graph-based pre-trained transformer force field, for PyTorch Geometric.

Energy in eV, forces in eV/Å and stress in eV/Å³ of any inorganic crystal::

    from torch_gptff import load_pretrained
    prediction = load_pretrained("gptff-v1").predict([atoms])[0]

This module is light: what it names is imported when it is first asked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

__version__ = "0.2.0"

# PyTorch then asks Linux for large pages for large tensors, if it has made none yet. See docs/pages/speed.md.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

if TYPE_CHECKING:
    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.graph import CrystalData
    from torch_gptff.io import load, load_pretrained, save
    from torch_gptff.models import GPTFF, GPTFFConfig
    from torch_gptff.potential import Potential, Prediction

__all__ = [
    "GPTFF",
    "CrystalData",
    "GPTFFCalculator",
    "GPTFFConfig",
    "Potential",
    "Prediction",
    "__version__",
    "load",
    "load_pretrained",
    "save",
]

import_lazily(
    __name__,
    {
        ".calculators": "GPTFFCalculator",
        ".graph": "CrystalData",
        ".io": "load load_pretrained save",
        ".models": "GPTFF GPTFFConfig",
        ".potential": "Potential Prediction",
    },
)
