"""Random rotation of whole crystals, and a warning of transforms that rotate positions alone."""

from __future__ import annotations

import warnings
from types import FrameType

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import (
    BaseTransform,
    LinearTransformation,
    NormalizeRotation,
    NormalizeScale,
    RandomFlip,
    RandomRotate,
    RandomScale,
    RandomShear,
)

from torch_gptff.errors import PositionsAloneWarning
from torch_gptff.graph.data import structure_count

OF_POSITIONS = (
    LinearTransformation, NormalizeRotation, NormalizeScale, RandomFlip, RandomRotate, RandomScale, RandomShear,
)  # fmt: skip
"""Transforms of PyG that multiply ``pos`` by a matrix, and leave ``cell``, ``forces`` and ``stress`` as they are."""

VECTORS = ("pos", "forces", "force")


@functional_transform("random_rotation")
class RandomRotation(BaseTransform):
    """Rotate every structure by a random rotation, drawn uniformly with torch's generator.

    ``pos``, ``cell``, ``forces`` (also MD17's ``force``) and ``stress`` turn together, so that energies, bonds and
    angles stay what they are. Other vectors and tensors that a record may hold are not turned. Takes records of one
    structure and batches, with a cell and without.

    Args:
        reflections: whether to draw from rotations and reflections, and so to mirror every second structure on average
    """

    def __init__(self, reflections: bool = False) -> None:
        self.reflections = reflections

    def forward(self, data: Data) -> Data:
        batch = data.get("batch")
        turn = _random_turns(structure_count(batch), self.reflections).to(data.pos.device)
        of_atoms = turn.expand(len(data.pos), 3, 3) if batch is None else turn[batch]
        for name in VECTORS:
            if data.get(name) is not None:
                data[name] = _turned(data[name].unsqueeze(1), of_atoms).squeeze(1)
        if data.get("cell") is not None:
            data.cell = _turned(data.cell, turn)
        if data.get("stress") is not None:
            data.stress = _turned(_turned(data.stress, turn).mT, turn)  # symmetric
        return data

    def __repr__(self) -> str:
        return f"{type(self).__name__}(reflections={self.reflections})"


def _random_turns(n: int, reflections: bool) -> Tensor:
    """``n`` orthogonal matrices, ``[n, 3, 3]`` float64, uniform over rotations, or over rotations and reflections.

    The orthogonal factors of matrices of normal deviates, with the signs of the other factor's diagonal taken in: F.
    Mezzadri, `How to generate random matrices from the classical compact groups
    <https://arxiv.org/abs/math-ph/0609050>`_.
    """
    q, r = torch.linalg.qr(torch.randn(n, 3, 3, dtype=torch.float64))
    q = q * r.diagonal(dim1=1, dim2=2).sign().unsqueeze(1)
    return q if reflections else q * torch.linalg.det(q).sign().view(-1, 1, 1)


def _turned(rows: Tensor, turn: Tensor) -> Tensor:
    return (rows.double() @ turn).to(rows.dtype)


def warn_of_positions_alone(data: Data, caller: FrameType | None) -> None:
    """Warn where a transform of :data:`OF_POSITIONS` is applied to a record whose other fields must be rotated too.

    Args:
        data: the record
        caller: transform that copies the record, as all of PyG's transforms do first
    """
    if caller is None or caller.f_code is not BaseTransform.__call__.__code__:
        return
    transform = caller.f_locals.get("self")
    within = caller.f_back.f_locals.get("self") if caller.f_back else None
    if not isinstance(transform, OF_POSITIONS) or isinstance(within, OF_POSITIONS):
        return
    left = ["cell"] if data.get("pbc") is not None and bool(data.pbc.any()) else []
    left += [name for name in ("forces", "stress") if data.get(name) is not None]
    if left:
        warnings.warn(
            f"{type(transform).__name__} changes the positions and leaves {' and '.join(left)} as they are: what comes "
            "out is another structure; RandomRotation of torch_gptff.graph turns all of them together",
            PositionsAloneWarning,
            stacklevel=5,
        )
