r"""Attention of atoms to their neighbours that carries geometry, as an operator.

A bond from centre :math:`i` to neighbour :math:`j` has a length :math:`r`, harmonics :math:`Y^l_m`, and learned
radial functions :math:`R(r)` of :math:`c` channels each, which are rows of a table that a cubic B-spline joins. A head
:math:`h` weighs a bond with

.. math::
    s^h_{ij} = \sum_{n \in h} q_{in}\, R^s_n(r)\, k_{jn} + b^h(r), \qquad \alpha^h_{ij} = \frac{2}{1 + e^{-s^h_{ij}}}

and the centre receives, with :math:`\alpha_{ij}` of each channel's head,

.. math::
    out^0_i &= \sum_j \alpha_{ij} \odot \left( R^0(r) \odot a_j
        + R^p(r) \odot \sum_{lm} Y^l_m\, V^l_{jm} \right) \\
    out^l_{im} &= \sum_j \alpha_{ij} \odot \left( R^l(r) \odot a_j\, Y^l_m + R^v(r) \odot V^l_{jm} \right) \\
    total^h_i &= \sum_j u(r)\, \alpha^h_{ij}

without the terms of :math:`V` where neighbours have no features that turn yet. The weights are those of `sigmoid
attention <https://arxiv.org/abs/2409.04431>`_: one bond's does not depend on the others, so that an atom can tell how
many neighbours it has; ``total`` is the sum of weights that a softmax would divide by. The envelope is in the table.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from torch_gptff.errors import GraphError
from torch_gptff.ops import operator
from torch_gptff.ops.checks import assert_sorted_pairs, check_pairs, check_shapes
from torch_gptff.ops.native import geometric
from torch_gptff.ops.native.kernel import Group
from torch_gptff.ops.native.operators import NativeKernels
from torch_gptff.ops.transforms import is_plain, under_transform
from torch_gptff.ops.triton import geometric as gpu

MAX_HEADS = 8
HEAD_WIDTH = 16
"""The number of channels of a head is a multiple of this."""


class Radial(NamedTuple):
    """Radial functions as rows of a table.

    Attributes:
        table: the coefficient of every function at every knot, ``[K, F]``, see :func:`columns`
        per_angstrom: knots in an Å
    """

    table: Tensor
    per_angstrom: float


class Neighbours(NamedTuple):
    """Features of the atoms that are attended to: keys, values and features that turn.

    Attributes:
        key: ``[N, c]``
        value: ``[N, c]``
        turning: features of degree 1 to ``L``, ``[N, 2 l + 1, c]`` each; empty in a first layer
    """

    key: Tensor
    value: Tensor
    turning: Sequence[Tensor]


def columns(channels: int, degree: int, heads: int, turns: bool) -> tuple[int, int]:
    """The functions of ``c`` channels in a table (``R^s``, ``R^0`` to ``R^L``; with ``turns`` ``R^p`` and ``R^v``), and
    all of its columns: with ``b`` of every head, the envelope, and what fills the last vector up."""
    sets = 2 + degree + (2 if turns else 0)
    return sets, sets * channels + -(-(heads + 1) // HEAD_WIDTH) * HEAD_WIDTH


def can_fuse(lengths: Tensor, channels: int, degree: int, heads: int) -> bool:
    """Whether there are kernels for such features, on the device and in the dtype of the bonds' ``lengths``: on the
    CPU, where there is a compiler, and on a GPU, where there is Triton."""
    kernels = _kernels(lengths.device)
    return not under_transform() and is_plain([lengths]) and kernels.exist(lengths, channels, degree, heads)


def _kernels(device: torch.device) -> _Kernels:
    return operator.of_device(device, cpu=_KERNELS, cuda=_GPU_KERNELS)


def geometric_attention(
    query: Tensor,
    neighbours: Neighbours,
    lengths: Tensor,
    harmonics: Tensor,
    radial: Radial,
    edge_index: Tensor,
    heads: int,
) -> tuple[Tensor, list[Tensor], Tensor]:
    """``out^0 [M, c]``, ``out^l`` of degree 1 to ``L``, ``[M, 2 l + 1, c]`` each, and ``total [M, H]``.

    Args:
        query: scaled queries of the centres, ``[M, c]``, head by head
        neighbours: features of the atoms that they attend to
        lengths: lengths of the bonds, Å, ``[E]``
        harmonics: spherical harmonics of degree 1 to ``L``, ``[E, (L + 1)² − 1]``, see
            :func:`~torch_gptff.ops.bond_harmonics`
        radial: the radial functions
        edge_index: neighbours and centres, int64 ``[2, E]``, ascending by centre
        heads: ``H``, dividing ``c``

    Raises:
        GraphError: the shapes do not fit together, or ``edge_index`` points to atoms that do not exist or does not
            ascend (on a GPU an assertion of the device, so that nothing waits for it).
    """
    degree = round((harmonics.size(1) + 1) ** 0.5) - 1
    x = [query, neighbours.key, neighbours.value, lengths, harmonics, *neighbours.turning, radial.table]
    x = [value.to(lengths.dtype) for value in x]
    fixed = _Fixed(edge_index.contiguous(), heads, degree, radial.per_angstrom)
    out = operator.apply(_kernels(lengths.device), x, fixed)
    return out[0], list(out[1:-1]), out[-1]


class Spline(NamedTuple):
    """The four rows of a table that meet at a length, and the weight of each.

    Attributes:
        row: the first of them, ``[E]``
        weight: ``[E, 4]``
    """

    row: Tensor
    weight: Tensor

    @classmethod
    def at(cls, lengths: Tensor, radial: Radial) -> Spline:
        """The cubic B-spline at lengths in Å, ``[E]``, constant beyond the last knot (de Boor, A Practical Guide to
        Splines, ch. IX)."""
        n_bins = len(radial.table) - 3
        u = (lengths * radial.per_angstrom).clamp(max=n_bins)
        row = u.detach().long().clamp(max=n_bins - 1)
        t = u - row
        s = 1 - t
        weight = [s**3 / 6, 2 / 3 + t**3 / 2 - t**2, 2 / 3 + s**3 / 2 - s**2, t**3 / 6]
        return cls(row, torch.stack(weight, dim=-1))

    def of(self, table: Tensor) -> Tensor:
        """Functions ``[K, F]`` at the lengths, ``[E, F]``."""
        return sum(self.weight[:, k, None] * table.index_select(0, self.row + k) for k in range(4))  # type: ignore[return-value]


def messages(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    functions: Tensor,
    harmonics: Tensor,
    turning: Sequence[Tensor],
    heads: int,
) -> tuple[Tensor, list[Tensor], Tensor]:
    """Messages of every bond: of degree 0, ``[E, c]``, of degree 1 to ``L``, ``[E, 2 l + 1, c]`` each, and its weights
    under the envelope, ``[E, H]``.

    Args:
        query: query of each bond's centre, ``[E, c]``
        key: key of each bond's neighbour, ``[E, c]``
        value: value of each bond's neighbour, ``[E, c]``
        functions: radial functions, ``[E, F]``
        harmonics: ``[E, (L + 1)² − 1]``
        turning: features of each bond's neighbour
        heads: ``H``
    """
    channels = query.size(1)
    degree = round((harmonics.size(1) + 1) ** 0.5) - 1
    sets, _ = columns(channels, degree, heads, bool(turning))
    by_set = functions[:, : sets * channels].unflatten(-1, (sets, channels)).unbind(1)
    bias, envelope = functions[:, sets * channels :].split([heads, functions.size(1) - sets * channels - heads], dim=1)
    score = (query * by_set[0] * key).unflatten(-1, (heads, -1)).sum(-1) + bias
    weight = 2 * score.sigmoid()  # [E, H]
    of_channel = weight.repeat_interleave(channels // heads, dim=1)
    zero = by_set[1] * value
    out: list[Tensor] = []
    for l, Y in enumerate(harmonics.split([2 * l + 1 for l in range(1, degree + 1)], dim=1), start=1):
        message = (by_set[1 + l] * value).unsqueeze(1) * Y.unsqueeze(-1)
        if turning:
            zero = zero + by_set[-2] * (Y.unsqueeze(-1) * turning[l - 1]).sum(1)
            message = message + by_set[-1].unsqueeze(1) * turning[l - 1]
        out.append(of_channel.unsqueeze(1) * message)
    return of_channel * zero, out, weight * envelope[:, :1]


class _Fixed(NamedTuple):
    edge_index: Tensor
    heads: int
    degree: int
    per_angstrom: float


class _Sizes(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("channels", "count", "neighbours", "centres", "heads", "rows", "turns")),
        ("per_angstrom", ctypes.c_double),
        ("centre", ctypes.c_void_p),
        ("neighbour", ctypes.c_void_p),
    ]


class _Kernels(NativeKernels):
    n_parameters = 1

    def exist(self, lengths: Tensor, channels: int, degree: int, heads: int) -> bool:
        """Whether there are kernels for these sizes, on this device and in this dtype."""
        return (
            lengths.device.type == "cpu"
            and heads <= MAX_HEADS
            and channels % (heads * HEAD_WIDTH) == 0
            and geometric.is_available(lengths.dtype, degree)
        )

    def is_available(self, x: Sequence[Tensor], fixed: _Fixed) -> bool:
        return self.exist(x[3], x[0].size(1), fixed.degree, fixed.heads)

    def plain(self, x: Sequence[Tensor], fixed: _Fixed) -> tuple[Tensor, ...]:
        query, key, value, lengths, harmonics, *turning, table = x
        neighbour, centre = fixed.edge_index
        functions = Spline.at(lengths, Radial(table, fixed.per_angstrom)).of(table)
        zero, of_degree, weight = messages(
            query.index_select(0, centre),
            key.index_select(0, neighbour),
            value.index_select(0, neighbour),
            functions,
            harmonics,
            [each.index_select(0, neighbour) for each in turning],
            fixed.heads,
        )
        values = (zero, *of_degree, weight)
        return tuple(v.new_zeros(len(query), *v.shape[1:]).index_add(0, centre, v) for v in values)

    def results(self, x: Sequence[Tensor], fixed: _Fixed, keep: bool) -> tuple[list[Tensor], None]:
        query = x[0]
        n, channels = query.shape
        of_degree = [query.new_empty(n, 2 * l + 1, channels) for l in range(1, fixed.degree + 1)]
        return [query.new_empty(n, channels), *of_degree, query.new_empty(n, fixed.heads)], None

    def gradients(self, x: Sequence[Tensor], fixed: _Fixed, with_parameters: bool) -> list[Tensor | None]:
        query, key, value, lengths, harmonics, *turning, table = x
        sums = [torch.zeros_like(each) for each in (key, value)]
        of_bonds = [torch.empty_like(each) for each in (lengths, harmonics)]
        of_table = torch.zeros_like(table) if with_parameters else None
        return [torch.empty_like(query), *sums, *of_bonds, *map(torch.zeros_like, turning), of_table]

    def call(self, kernel: str, x: Sequence[Tensor], fixed: _Fixed, *others: Group) -> None:
        query, key, *_, table = x
        index = fixed.edge_index
        sizes = _Sizes(
            query.size(1), index.size(1), len(key), len(query), fixed.heads, len(table), len(x) > 6, fixed.per_angstrom,
            index[1].data_ptr(), index[0].data_ptr(),
        )  # fmt: skip
        geometric.call(f"geometric_attention_{kernel}", fixed.degree, sizes, x, *others)

    def check(self, x: Sequence[Tensor], fixed: _Fixed) -> None:
        names = [
            "query",
            "key",
            "value",
            "lengths",
            "harmonics",
            *(f"turning[{n}]" for n in range(len(x) - 6)),
            "table",
        ]
        (m, c), n, e, degree = x[0].shape, len(x[1]), fixed.edge_index.size(-1), fixed.degree
        turning = [(n, 2 * l + 1, c) for l in range(1, degree + 1)] if len(x) > 6 else []
        _, width = columns(c, degree, fixed.heads, bool(turning))
        shapes = [(m, c), (n, c), (n, c), (e,), (e, (degree + 1) ** 2 - 1), *turning, (len(x[-1]), width)]
        check_shapes(dict(zip(names, x, strict=True)), shapes)
        if len(x[-1]) < 4:
            raise GraphError(f"the table of radial functions has {len(x[-1])} rows; a cubic spline takes 4 or more")
        self.check_bonds(fixed.edge_index, (n, m))

    def check_bonds(self, edge_index: Tensor, rows: tuple[int, int]) -> None:
        check_pairs("edge_index", edge_index, rows)
        if bool((edge_index[1].diff() < 0).any()):
            raise GraphError("edge_index must ascend by its centres, row 1")


class _GPUKernels(_Kernels):
    def exist(self, lengths: Tensor, channels: int, degree: int, heads: int) -> bool:
        return channels % heads == 0 and gpu.is_available(lengths.dtype, channels // heads)

    def call(self, kernel: str, x: Sequence[Tensor], fixed: _Fixed, *others: Group) -> None:
        gpu.geometric_attention(kernel, x, fixed, *others)

    def check_bonds(self, edge_index: Tensor, rows: tuple[int, int]) -> None:
        assert_sorted_pairs("edge_index", edge_index, rows)


_KERNELS, _GPU_KERNELS = _Kernels(), _GPUKernels()
