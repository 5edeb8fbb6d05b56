"""What the tests of several operators share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def assert_agree() -> Callable[[Sequence[Tensor], Sequence[Tensor], float], None]:
    """Equal up to so many units of rounding of the largest entry, and at least of 1."""

    def check(actual: Sequence[Tensor], expected: Sequence[Tensor], epsilons: float) -> None:
        for number, (a, b) in enumerate(zip(actual, expected, strict=True)):
            largest = b.abs().max().item() if b.numel() else 0.0
            atol = epsilons * torch.finfo(a.dtype).eps * max(1.0, largest)
            where = f"value {number}: "
            torch.testing.assert_close(a.double(), b.double(), rtol=0, atol=atol, msg=lambda m, where=where: where + m)

    return check
