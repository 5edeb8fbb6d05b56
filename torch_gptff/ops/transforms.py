"""The function transforms of ``torch.func``, which do not know custom operators."""

from __future__ import annotations

import torch


def under_transform() -> bool:
    """Whether ``torch.func`` is differentiating or vectorising what runs now."""
    return torch._C._are_functorch_transforms_active()
