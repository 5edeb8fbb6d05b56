"""Labels beside energy, forces and stress, as models are trained on them: NaN where nothing is known."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.errors import LabelError
from torch_gptff.models.properties import KINDS


def property_of(frame: Data, name: str, kind: str) -> Tensor:
    """A property as a model of this kind of property is trained on it: ``[N]``, ``[1]``, ``[1, 3]`` or ``[1, 3, 3]``;
    NaN where the frame has none.

    Raises:
        LabelError: the frame has it in another shape.
    """
    shape = (len(frame.z) if kind == "atom" else 1, *KINDS[kind])
    value = frame.get(name)
    if value is None or (bool(value.isnan().all()) and value.numel() <= len(frame.z)):
        return torch.full(shape, torch.nan, dtype=torch.float64)
    if tuple(value.shape) != shape:
        raise LabelError(
            f"{frame.get('frame_id', 'a frame')}: {name} has the shape {list(value.shape)}, and a property of the kind "
            f"{kind!r} has {list(shape)}"
        )
    return value.double()
