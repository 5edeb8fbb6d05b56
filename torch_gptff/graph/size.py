"""Estimated size of a graph: structures whose graphs do not fit into memory are refused before they are built."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.errors import GraphSizeError
from torch_gptff.graph.checks import completed_cell, heights
from torch_gptff.graph.data import structure_index
from torch_gptff.graph.geometry import volumes
from torch_gptff.graph.neighbors.cell_list import fill_bins, lay_grid

BYTES_PER_BOND = 100
BYTES_PER_ANGLE = 50
"""Smallest memory of a bond and of an angle, intermediate values included, bytes."""

DENSEST = 20.0
"""Largest accepted density, atoms per Å³. Hydrogen in the centre of Jupiter has about 3."""

FEW_PAIRS = 20_000_000
FEW_IMAGES = 2_000
"""Numbers of pairs and of images up to which a structure is accepted without an estimate of its density."""


def require_room_for_bonds(data: Data, cutoff: float) -> None:
    """Refuse structures whose bonds do not fit into memory, and structures denser than any matter.

    Args:
        data: record with ``z``, ``pos``, ``cell``, ``pbc``, and ``batch`` where there are several structures
        cutoff: cutoff radius of the bonds, Å

    Raises:
        GraphSizeError: names the estimated number of bonds and the free memory, or the density.
    """
    batch, n_structures = structure_index(data)
    cell = completed_cell(data.cell.detach().double(), data.pbc)
    n_atoms = torch.bincount(batch, minlength=n_structures)
    reach = torch.where(data.pbc, (cutoff / heights(cell)).ceil(), 0)
    images = (2 * reach + 1).prod(dim=-1)
    density = torch.where(data.pbc.all(dim=-1), n_atoms / volumes(cell), 0)
    is_small = (n_atoms**2 * images).sum() <= FEW_PAIRS
    if bool(is_small & (images <= FEW_IMAGES).all() & (density <= DENSEST).all()):
        return
    highest, n_bonds = _estimate(data.pos.detach().double(), cell, data.pbc, batch, cutoff)
    if highest > DENSEST:
        raise GraphSizeError(
            f"the structure has {highest:.3g} atoms per Å³ in places, and no matter has more than a few: check that "
            "positions and cell are in Å, and that each atom is there once"
        )
    require_room(n_bonds, BYTES_PER_BOND, f"bonds within {cutoff:.3g} Å", data.pos.device)


def require_room(number: float, bytes_each: int, what: str, device: torch.device) -> None:
    """Refuse an allocation that is larger than the free memory.

    Args:
        number: number of bonds or angles
        bytes_each: memory of each, bytes
        what: their name in the message
        device: device that they are allocated on

    Raises:
        GraphSizeError: names the number and both sizes.
    """
    if number * bytes_each > (1 << 30) and number * bytes_each > (free := free_memory(device)):
        raise GraphSizeError(
            f"the structure has about {number:.2g} {what}, which take {number * bytes_each / 1e9:.3g} GB, and there "
            f"are {free / 1e9:.3g} GB: check its cell and number of atoms, or take a machine with more memory"
        )


def free_memory(device: torch.device) -> float:
    """Free memory of a device, bytes; infinite where the system does not tell."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    free = [_kibibytes("/proc/meminfo", "MemAvailable")]
    with suppress(ImportError):  # on Windows
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            used = _kibibytes("/proc/self/status", "VmSize")
            free.append(max(limit - (used if math.isfinite(used) else 0), 0))
    return min(free)


def _kibibytes(file: str, name: str) -> float:
    """An entry of a file of the kernel, in bytes."""
    try:
        lines = Path(file).read_text().splitlines()
        return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
    except (OSError, StopIteration):
        return math.inf


def _estimate(pos: Tensor, cell: Tensor, pbc: Tensor, batch: Tensor, cutoff: float) -> tuple[float, float]:
    """The highest density in atoms per Å³, and about how many bonds there are.

    Space is cut into bins, and an atom given as many neighbours as a sphere has at the density of its bin. Where a
    structure ends, in a direction without period, a bin counts as thick as its atoms can have neighbours in.
    """
    grid = lay_grid(pos, cell, pbc, batch, cutoff)
    bins = fill_bins(grid, pos, batch)
    thickness = torch.where(pbc, 1 / grid.shape, (grid.span / grid.shape).clamp(min=4 / 3 * cutoff))
    density = bins.count / (volumes(cell) * thickness.prod(dim=-1))[bins.structure]
    neighbours = density * (4 / 3 * math.pi * cutoff**3)
    return float(density.max()), float((bins.count * neighbours).sum())
