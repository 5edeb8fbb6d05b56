"""Neighbour lists from several libraries, with identical results.

A backend finds every pair of atoms, or of an atom and a periodic image, within a cutoff. All of them search slightly
too far; :func:`neighbor_list` measures every pair they return in one way and keeps those with ``r <= cutoff``. So
backends agree to the last pair, also where a shell of neighbours lies exactly on the cutoff.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.errors import UnknownBackendError
from torch_gptff.graph.data import CrystalData, structure_index
from torch_gptff.graph.geometry import bond_vectors
from torch_gptff.graph.neighbors import ase, cell_list, torch_cluster, vesin

Backend = Callable[[Tensor, Tensor, Tensor, Tensor, float], tuple[Tensor, Tensor, Tensor]]
"""``(pos [N, 3], cell [B, 3, 3], pbc [B, 3], batch [N], cutoff) -> (centre [E], neighbour [E], shift [E, 3])``"""

MEASURED_AT_ONCE = 1 << 18
"""Number of pairs whose lengths are computed at once."""

_BACKENDS: dict[str, tuple[Backend, str | None]] = {
    "vesin": (vesin.find_pairs, "vesin"),
    "torch": (cell_list.find_pairs, None),
    "ase": (ase.find_pairs, "ase"),
    "torch_cluster": (torch_cluster.find_pairs, "torch_cluster"),
}


def register_backend(name: str, find_pairs: Backend, requires: str | None = None) -> None:
    """Register a neighbour-list backend.

    Args:
        name: name of the backend for :func:`neighbor_list` and the transforms
        find_pairs: a function as :data:`Backend` describes; it may return pairs beyond the cutoff, but must miss none
        requires: the package that must be installed for it
    """
    _BACKENDS[name] = (find_pairs, requires)


def available_backends() -> list[str]:
    """The names of the backends whose packages are installed."""
    return [name for name, (_, package) in _BACKENDS.items() if package is None or _is_installed(package)]


def neighbor_list(data: Data, cutoff: float, backend: str | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Every bond ``r_ij <= cutoff`` of one structure or a batch, images of an atom with itself included.

    Args:
        data: a record with ``z``, ``pos``, ``cell`` and ``pbc``, and ``batch`` where there are several structures
        cutoff: Å
        backend: ``"vesin"`` (default on the CPU), ``"torch"`` (any device, default elsewhere), ``"ase"``, or
            ``"torch_cluster"`` (open boundaries only; default there on the CPU, where that package is installed)

    Returns:
        ``edge_index`` ``[2, E]`` (row 0 the neighbour, row 1 the centre; ascending by centre), ``edge_shift``
        ``[E, 3]`` int32, and the lengths in Å, ``[E]``.

    Raises:
        UnknownBackendError: the backend is unknown, its package is missing, or it cannot handle periodic structures.
        GraphSizeError: the bonds do not fit into memory.
    """
    from torch_gptff.graph.size import require_room_for_bonds

    if backend is None:
        backend = _default_backend(data)
    if backend not in _BACKENDS:
        raise UnknownBackendError(f"no neighbour-list backend {backend!r}; there are {', '.join(_BACKENDS)}")
    find_pairs, package = _BACKENDS[backend]
    if package is not None and not _is_installed(package):
        raise UnknownBackendError(f"the backend {backend!r} needs the package {package}, which is not installed")

    require_room_for_bonds(data, cutoff)
    batch, _ = structure_index(data)
    atoms = CrystalData(z=data.z, pos=data.pos.detach(), cell=data.cell.detach(), pbc=data.pbc, batch=batch)
    reach = cutoff + rounding_margin(atoms, cutoff)
    edge_index, shift = _by_centre(*find_pairs(atoms.pos, atoms.cell, atoms.pbc, batch, reach))
    return _within(atoms, edge_index, shift, cutoff)


def _default_backend(data: Data) -> str:
    """The fastest backend of those that are installed (``benchmarks/segments.py``, ``benchmarks/neighbors.py``)."""
    if data.pos.device.type != "cpu":
        return "torch"
    return "torch_cluster" if _is_installed("torch_cluster") and not bool(data.pbc.any()) else "vesin"


@cache
def _is_installed(package: str) -> bool:
    return find_spec(package) is not None


def rounding_margin(atoms: Data, cutoff: float) -> float:
    """Distance added to the cutoff in searches, Å, so that rounding of cutoff and coordinates loses no pair."""
    largest = max(
        (float(values.detach().abs().max()) for values in (atoms.pos, atoms.cell) if len(values)), default=0.0
    )
    return 1e-5 * (1 + cutoff) + 16 * torch.finfo(atoms.pos.dtype).eps * largest


def _by_centre(centre: Tensor, neighbour: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """``edge_index`` and ``edge_shift`` of pairs, ascending by centre."""
    if bool((centre[1:] < centre[:-1]).any()):
        centre, order = centre.sort(stable=True)
        neighbour, shift = neighbour.index_select(0, order), shift.index_select(0, order)
    return torch.stack([neighbour, centre]), shift


def _within(atoms: Data, edge_index: Tensor, shift: Tensor, cutoff: float) -> tuple[Tensor, Tensor, Tensor]:
    """The pairs that are bonds, and their lengths, computed piece by piece to save memory."""
    lengths = atoms.pos.new_empty(edge_index.size(1))
    for first in range(0, len(lengths), MEASURED_AT_ONCE):
        piece = slice(first, first + MEASURED_AT_ONCE)
        atoms.edge_index, atoms.edge_shift = edge_index[:, piece], shift[piece]
        lengths[piece] = bond_vectors(atoms).norm(dim=-1)
    within = lengths <= cutoff
    if bool(within.all()):
        return edge_index, shift, lengths
    return edge_index[:, within], shift[within], lengths[within]


__all__ = ["Backend", "available_backends", "neighbor_list", "register_backend", "rounding_margin"]
