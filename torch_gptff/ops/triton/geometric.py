"""Geometric attention and tensor products on a GPU, in kernels that write nothing of bonds times channels to memory.

Sums over neighbours are atomic additions, so that two runs may differ in rounding. Shapes, dtypes and contiguity are
the operators' to see to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

WIDTHS = (16, 32, 64, 128, 256, 512, 1024)
"""Numbers of channels of a tile for which there are kernels."""

BONDS_TIMES_WIDTH = 128
"""Numbers of a tile of one warp: bonds of a block times channels of a head."""

COPIES = 16
"""Number of copies of the table's gradient, to which centres add in turn, so that few wait for the same address."""


def is_available(dtype: torch.dtype, channels: int) -> bool:
    """Whether there are kernels for tiles of so many channels, and their sums may depend on timing."""
    has_kernels = channels in WIDTHS and dtype in (torch.float32, torch.float64) and find_spec("triton") is not None
    return has_kernels and not torch.are_deterministic_algorithms_enabled()


def geometric_attention(name: str, x: Sequence[Tensor], fixed: Any, *groups: Any) -> None:
    """Run ``forward``, ``backward`` or ``double_backward``: what is written are the last of ``groups``.

    Args:
        name: name of the function
        x: see :mod:`torch_gptff.ops.geometric_attention`
        fixed: see :mod:`torch_gptff.ops.geometric_attention`
        groups: see :func:`_run`
    """
    from torch_gptff.ops.triton import geometric_kernels as kernels

    query, table = x[0], x[-1]
    centres, channels = query.shape
    neighbour, centre = fixed.edge_index
    offsets = torch.searchsorted(centre, torch.arange(centres + 1, device=centre.device))
    turns = len(x) > 6
    sizes = {
        "BONDS": max(1, BONDS_TIMES_WIDTH * fixed.heads // channels),
        "C": channels,
        "HEADS": fixed.heads,
        "L": fixed.degree,
        "SCORES": (2 + fixed.degree + 2 * turns) * channels,
        "STRIDE": table.size(1),
        "PER_ANGSTROM": fixed.per_angstrom,
        "ROWS": len(table),
    }

    def nested(values: Sequence[Any]) -> tuple[Any, ...]:
        return (*values[:5], tuple(values[5:-1]), values[-1])

    def forward(inputs: Sequence[Any], out: Sequence[Tensor]) -> None:
        _launch(
            kernels.attention_forward, (centres, fixed.heads), nested(inputs), tuple(out), offsets, neighbour, **sizes
        )

    def backward(inputs: Sequence[Any], dout: Sequence[Tensor], d: Sequence[Any]) -> None:
        *rows, d_table = d
        copies: Any = None if d_table is None else d_table.new_zeros(COPIES, *d_table.shape)
        for value in rows[3:5]:  # every head adds its own
            value.zero_()
        _launch(
            kernels.attention_backward, (centres, fixed.heads),
            nested(inputs), tuple(dout), nested([*rows, copies]), offsets, neighbour, **sizes, COPIES=COPIES,
        )  # fmt: skip
        if d_table is not None:
            d_table.copy_(copies.sum(dim=0))

    _run(name, forward, backward, x, *groups)


def tensor_product(name: str, x: Sequence[Tensor], terms: tuple[Any, ...], *groups: Any) -> None:
    """As :func:`geometric_attention`, of :mod:`torch_gptff.ops.tensor_product`."""
    from torch_gptff.ops.triton import geometric_kernels as kernels

    atoms, (paths, channels) = len(x[0]), x[-1].shape
    degree = len(x) - 1
    lists = _grouped(terms, (degree + 1) ** 2 - 1, paths)
    sizes = {"C": channels, "L": degree, "PATHS": paths, "TERMS": lists}
    warps = max(1, channels // 32)

    def nested(values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(values[:-1]), values[-1]

    def forward(inputs: Sequence[Any], out: Sequence[Tensor]) -> None:
        _launch(kernels.product_forward, (atoms,), nested(inputs), tuple(out), **sizes, num_warps=warps)

    def backward(inputs: Sequence[Any], dout: Sequence[Tensor], d: Sequence[Tensor | None]) -> None:
        _launch(kernels.product_backward, (atoms,), nested(inputs), tuple(dout), nested(d), **sizes, num_warps=warps)

    _run(name, forward, backward, x, *groups)


@cache
def _grouped(terms: tuple[Any, ...], components: int, paths: int) -> tuple[tuple[tuple[Any, ...], ...], ...]:
    """Terms grouped by component of ``Z``, by component of ``U``, and by path."""

    def group(count: int, entries: Iterable[tuple[int, tuple[Any, ...]]]) -> tuple[tuple[Any, ...], ...]:
        groups: list[list[tuple[Any, ...]]] = [[] for _ in range(count)]
        for number, entry in entries:
            groups[number].append(entry)
        return tuple(map(tuple, groups))

    ends = [(t, *pair) for t in terms for pair in ((t.first, t.second), (t.second, t.first))]
    return (
        group(components, ((t.third, (t.first, t.second, t.path, t.coefficient)) for t in terms)),
        group(components, ((one, (t.third, other, t.path, t.coefficient)) for t, one, other in ends)),
        group(paths, ((t.path, (t.first, t.second, t.third, t.coefficient)) for t in terms)),
    )


def _run(
    name: str, forward: Callable[..., None], backward: Callable[..., None], x: Sequence[Tensor], *groups: Any
) -> None:
    """``forward(x, out)`` or ``backward(x, dout, d)`` of plain numbers, or, with tangents of all but the last of ``x``,
    both of dual numbers."""
    plain = [(value,) for value in x]
    with torch.cuda.device_of(x[0]):
        if name == "double_backward":
            t, dout, ddout, d = groups
            dual = [*zip(x[:-1], t[:-1], strict=True), plain[-1]]
            forward(dual, ddout)
            backward(dual, dout, d)
        elif name == "backward":
            backward(plain, *groups)
        else:
            forward(plain, groups[-1])


def _launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, num_warps: int = 1, **sizes: Any) -> None:
    if grid[0]:
        kernel[grid](*arguments, **sizes, num_warps=num_warps)
