"""Crystals as graphs: atoms, bonds within a cutoff, angles between bonds."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.graph.data import CrystalData, structure_index
    from torch_gptff.graph.neighbors import available_backends, neighbor_list
    from torch_gptff.graph.rotation import RandomRotation
    from torch_gptff.graph.transforms import BondAngles, PeriodicRadiusGraph
    from torch_gptff.graph.verlet import VerletGraph

__all__ = [
    "BondAngles",
    "CrystalData",
    "PeriodicRadiusGraph",
    "RandomRotation",
    "VerletGraph",
    "available_backends",
    "neighbor_list",
    "structure_index",
]

import_lazily(
    __name__,
    {
        ".data": "CrystalData structure_index",
        ".neighbors": "available_backends neighbor_list",
        ".rotation": "RandomRotation",
        ".transforms": "BondAngles PeriodicRadiusGraph",
        ".verlet": "VerletGraph",
    },
)
