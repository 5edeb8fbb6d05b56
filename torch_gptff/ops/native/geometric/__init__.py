"""Kernels of features that turn with the crystal, on the CPU.

The kernels trust shapes, dtypes, indices and that every tensor is contiguous; the operators see to it before.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from torch_gptff.ops.native.build import turning_library


@torch.compiler.assume_constant_result
def is_available(dtype: torch.dtype, degree: int) -> bool:
    """Whether there are kernels for this dtype and highest degree; the first call may compile them."""
    return turning_library(dtype, degree) is not None


def call(name: str, degree: int, sizes: ctypes.Structure, *groups: Sequence[Tensor | None]) -> None:
    """Run a kernel.

    Args:
        name: of the kernel
        degree: highest degree of the features
        sizes: what the kernel takes first
        groups: the tensors that it reads and writes; ``None`` for one that it is to leave out
    """
    dtype = next(value for group in groups for value in group if value is not None).dtype
    kernels = turning_library(dtype, degree)
    assert kernels is not None, "is_available() is asked first"
    getattr(kernels, name)(ctypes.byref(sizes), *map(_pointers, groups), ctypes.c_int(torch.get_num_threads()))


def _pointers(values: Sequence[Tensor | None]) -> ctypes.Array[ctypes.c_void_p]:
    pointers = [None if value is None else value.data_ptr() for value in values]
    return (ctypes.c_void_p * len(pointers))(*pointers)
