"""Calls of compiled kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Group = Sequence[Tensor | None]
"""Tensors that a kernel reads or writes; ``None`` for one that it is to leave out."""


def run(library: Callable[[torch.dtype, int], Any], name: str, width: int, sizes: Any, *groups: Group) -> None:
    """Run a kernel in the dtype of its tensors.

    Args:
        library: compiled kernels, see :mod:`torch_gptff.ops.native.build`
        name: name of the kernel
        width: width of the features, for which the library is compiled
        sizes: a ``ctypes.Structure`` that the kernel takes first: numbers of rows, indices and settings
        groups: the tensors; the kernel gets a null pointer for ``None`` and for an empty one
    """
    kernels = library(next(value for group in groups for value in group if value is not None).dtype, width)
    assert kernels is not None, "is_available() is asked first"
    getattr(kernels, name)(ctypes.byref(sizes), *map(_pointers, groups), ctypes.c_int(torch.get_num_threads()))


def _pointers(values: Group) -> ctypes.Array[ctypes.c_void_p]:
    pointers = [None if value is None else value.data_ptr() for value in values]
    return (ctypes.c_void_p * len(pointers))(*pointers)
