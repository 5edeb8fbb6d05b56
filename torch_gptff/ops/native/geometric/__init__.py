"""Kernels of features that turn with the crystal, on the CPU.

The kernels trust shapes, dtypes, indices and that every tensor is contiguous; the operators see to it before.
"""

from __future__ import annotations

from functools import partial

import torch

from torch_gptff.ops.native.build import turning_library
from torch_gptff.ops.native.kernel import run
from torch_gptff.postponed import unless_postponed

call = partial(run, turning_library)
"""Run a kernel, for features up to a degree, see :func:`~torch_gptff.ops.native.kernel.run`."""


@unless_postponed(torch.compiler.assume_constant_result)
def is_available(dtype: torch.dtype, degree: int) -> bool:
    """Whether there are kernels for this dtype and highest degree; the first call may compile them."""
    return turning_library(dtype, degree) is not None
