"""Checks of the inputs of compiled kernels, which read and write memory without checks of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from torch_gptff.errors import GraphError


def check_shapes(values: Mapping[str, Tensor], shapes: Sequence[tuple[int, ...]]) -> None:
    """Check the shapes of tensors, and that all have the dtype and device of the first.

    Raises:
        GraphError: names the tensor that does not fit.
    """
    reference = next(iter(values))
    dtype, device = values[reference].dtype, values[reference].device
    for (name, value), shape in zip(values.items(), shapes, strict=True):
        if value.shape != shape:
            raise GraphError(f"{name} is {list(value.shape)}, but {list(shape)} fits the other inputs")
        if value.dtype != dtype or value.device != device:
            raise GraphError(f"{name} is {value.dtype} on {value.device}, but {reference} is {dtype} on {device}")


def check_pairs(name: str, index: Tensor, rows: tuple[int, int]) -> None:
    """Check that the indices of pairs exist, for indices on the CPU.

    Raises:
        GraphError: the index is not int64 ``[2, …]``, or points past the last row or before the first.
    """
    if index.dtype != torch.int64 or index.dim() != 2 or index.size(0) != 2:
        raise GraphError(f"{name} is {index.dtype} {list(index.shape)}; it must be int64 [2, …]")
    if not index.size(1):
        return
    numbers = index.numpy()  # several times as fast as PyTorch in this
    for row, low, high, n in zip((0, 1), numbers.min(axis=1), numbers.max(axis=1), rows, strict=True):
        if low < 0 or high >= n:
            outside = low if low < 0 else high
            raise GraphError(f"row {row} of {name} points to row {outside} of {n}: was the graph made of other atoms?")


def assert_sorted_pairs(name: str, index: Tensor, rows: tuple[int, int]) -> None:
    """Check as :func:`check_pairs`, and that the second row ascends, by an assertion on the device without a wait."""
    if index.dtype != torch.int64 or index.dim() != 2 or index.size(0) != 2:
        raise GraphError(f"{name} is {index.dtype} {list(index.shape)}; it must be int64 [2, …]")
    if not index.size(1):
        return
    (low, high), last = index[0].aminmax(), index[1]
    exist = (low >= 0) & (high < rows[0]) & (last[0] >= 0) & (last[-1] < rows[1])
    message = (
        f"{name} points to rows that do not exist, or its row 1 does not ascend: was the graph made of other atoms?"
    )
    torch._assert_async(exist & (last.diff() >= 0).all(), message)
