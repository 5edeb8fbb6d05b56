"""The ``torch_cluster`` backend: molecules and clusters, on the CPU or the GPU, where that package is installed."""

from __future__ import annotations

import torch
from torch import Tensor

from torch_gptff.errors import UnknownBackendError


def find_pairs(pos: Tensor, cell: Tensor, pbc: Tensor, batch: Tensor, cutoff: float) -> tuple[Tensor, Tensor, Tensor]:
    """See :data:`torch_gptff.graph.neighbors.Backend`; open boundaries only."""
    from torch_cluster import radius_graph

    if bool(pbc.any()):
        raise UnknownBackendError('the backend "torch_cluster" knows no periodic images: use "vesin" or "torch"')
    most = int(torch.bincount(batch, minlength=1).max())  # largest number of neighbours: none is cut off
    neighbour, centre = radius_graph(pos, r=cutoff, batch=batch, loop=False, max_num_neighbors=most)
    return centre, neighbour, torch.zeros(len(centre), 3, dtype=torch.int32, device=pos.device)
