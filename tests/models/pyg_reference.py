"""What lets PyG's own models run where torch-cluster and torch-sparse are not installed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def radius_graph(pos: Tensor, r: float, batch: Tensor | None = None, loop: bool = False, **_: Any) -> Tensor:
    """Every pair of a molecule within ``r``, as :func:`torch_geometric.nn.radius_graph` gives them, without a limit."""
    near = torch.cdist(pos, pos) <= r
    if not loop:
        near &= ~torch.eye(len(pos), dtype=torch.bool)
    if batch is not None:
        near &= batch.unsqueeze(0) == batch.unsqueeze(1)
    source, target = near.nonzero().T
    return torch.stack([source, target])


def triplets(edge_index: Tensor, num_nodes: int) -> tuple[Tensor, ...]:
    """As :func:`torch_geometric.nn.models.dimenet.triplets`, one by one."""
    bonds = list(zip(*edge_index.tolist(), strict=True))
    found = [
        (i, j, k, kj, ji)
        for ji, (j, i) in enumerate(bonds)
        for kj, (k, middle) in enumerate(bonds)
        if middle == j and k != i
    ]
    idx_i, idx_j, idx_k, idx_kj, idx_ji = torch.tensor(found).T
    return edge_index[1], edge_index[0], idx_i, idx_j, idx_k, idx_kj, idx_ji
