"""The atom update and the bond update as operators.

Both begin with ``z = a_i + b_j + W_e e_ij`` for a bond with centre ``i`` and neighbour ``j``, and weigh the message by
``W_r b_ij``. On the CPU they are
compiled kernels, where there is a compiler: the update, its gradient and the gradient of that, so that training on
forces goes through them too. Elsewhere they are plain tensor operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from torch_gptff.ops import native, operator
from torch_gptff.ops.checks import check_pairs, check_shapes
from torch_gptff.ops.registered import PairKernels, register
from torch_gptff.ops.transforms import under_transform

ROWS = ("a", "b", "e", "radial")
"""Number of inputs before the parameters."""

MAX_KEPT = 1 << 20
"""Largest size of ``e``, in numbers, up to which intermediate results are kept for the gradient."""


def gate(both: Tensor) -> Tensor:
    """``[values ‖ gates]``, ``[..., 2 d]``, to ``swish(values) ⊙ σ(gates)``, ``[..., d]``."""
    value, gate = both.chunk(2, dim=-1)
    return F.silu(value) * torch.sigmoid(gate)


def atom_message(z: Tensor, weight: Tensor, w_gate: Tensor, b_gate: Tensor) -> Tensor:
    """``gate(W_g swish(z) + b_g) ⊙ weight``: ``z [E, 2 d]``, ``weight [E, d]`` to ``[E, d]``."""
    return gate(F.linear(F.silu(z), w_gate, b_gate)) * weight


def bond_message(z: Tensor, weight: Tensor, w_out: Tensor, b_out: Tensor) -> Tensor:
    """``swish(W_o gate(z) + b_o) ⊙ weight``: ``z [E, 2 d]``, ``weight [E, d]`` to ``[E, d]``."""
    return F.silu(F.linear(gate(z), w_out, b_out)) * weight


def can_fuse(e: Tensor) -> bool:
    """Whether the fused operators take bond features ``e [E, d]``: on the CPU, where there is a compiler."""
    return not under_transform() and e.device.type == "cpu" and native.is_available(e.dtype, e.size(1))


def atom_update(
    a: Tensor,
    b: Tensor,
    e: Tensor,
    radial: Tensor,
    w_radial: Tensor,
    w_edge: Tensor,
    w_gate: Tensor,
    b_gate: Tensor,
    edge_index: Tensor,
) -> Tensor:
    """The sum over every centre's bonds of :func:`atom_message`, computed in the dtype of ``e``. Twice differentiable.

    Args:
        a: contribution of the centre to ``z``, ``[N, 2 d]``
        b: contribution of the neighbour to ``z``, ``[M, 2 d]``
        e: bond features, ``[E, d]``
        radial: radial features, ``[E, R]``
        w_radial: ``[d, R]``
        w_edge: ``[2 d, d]``
        w_gate: ``[2 d, 2 d]``
        b_gate: ``[2 d]``
        edge_index: neighbours and centres, int64 ``[2, E]``; fastest with the bonds of one centre together

    Returns:
        ``[N, d]``

    Raises:
        GraphError: the shapes do not fit together, or ``edge_index`` points to atoms that do not exist.
    """
    values = [value.to(e.dtype) for value in (a, b, e, radial, w_radial, w_edge, w_gate, b_gate)]
    (out,) = operator.apply(_ATOM_UPDATE, values, edge_index.contiguous(), _is_worth_keeping(values))
    return out


def bond_update(
    a: Tensor,
    b: Tensor,
    e: Tensor,
    radial: Tensor,
    w_radial: Tensor,
    w_edge: Tensor,
    w_out: Tensor,
    b_out: Tensor,
    edge_index: Tensor,
) -> Tensor:
    """``e`` plus the :func:`bond_message` of every bond; arguments as for :func:`atom_update`.

    Args:
        w_out: ``[d, d]``
        b_out: ``[d]``

    Returns:
        ``[E, d]``
    """
    values = [value.to(e.dtype) for value in (a, b, e, radial, w_radial, w_edge, w_out, b_out)]
    (out,) = operator.apply(_BOND_UPDATE, values, edge_index.contiguous(), _is_worth_keeping(values))
    return out


def _is_worth_keeping(values: Sequence[Tensor]) -> bool:
    """Whether derivatives will come, and have less work if the forward pass keeps its two products.

    In training they are needed three times. Where parameters are frozen, once, and memory is what large structures
    are short of.
    """
    if not (torch.is_grad_enabled() and any(value.requires_grad for value in values)):
        return False
    is_training = any(value.requires_grad for value in values[len(ROWS) :])
    return is_training or values[2].numel() <= MAX_KEPT


class _Update(PairKernels):
    n_parameters = 4
    width: int
    """Width of the second map, in units of ``d``."""

    message: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

    def is_available(self, x: Sequence[Tensor], edge_index: Tensor) -> bool:
        return can_fuse(x[2])

    def forward(self, x: Sequence[Tensor], edge_index: Tensor, keep: bool) -> tuple[list[Tensor], Tensor | None]:
        self._check(x, edge_index)
        (out,), kept = self.results(x, edge_index, keep)
        native.edges_forward(self.name, x, edge_index, out, kept)
        return [out], kept

    def backward(
        self, dout: Sequence[Tensor], x: Sequence[Tensor], edge_index: Tensor, kept: Tensor, with_parameters: bool
    ) -> list[Tensor | None]:
        return native.edges_backward(self.name, dout[0], x, edge_index, kept, with_parameters)

    def double_backward(
        self,
        t: Sequence[Tensor | None],
        dout: Sequence[Tensor],
        x: Sequence[Tensor],
        edge_index: Tensor,
        kept: Tensor,
        with_parameters: bool,
    ) -> tuple[list[Tensor], list[Tensor | None]]:
        ddout, d = native.edges_double_backward(self.name, t, dout[0], x, edge_index, kept, with_parameters)
        return [ddout], d

    def _messages(self, x: Sequence[Tensor], edge_index: Tensor) -> Tensor:
        a, b, e, radial, w_radial, w_edge, w, bias = x
        neighbour, centre = edge_index
        z = a.index_select(0, centre) + b.index_select(0, neighbour) + F.linear(e, w_edge)
        return self.message(z, F.linear(radial, w_radial), w, bias)

    def _kept(self, e: Tensor, keep: bool) -> Tensor:
        return e.new_empty(e.size(0) if keep else 0, (2 + self.width) * e.size(1))

    def _check(self, x: Sequence[Tensor], edge_index: Tensor) -> None:
        a, b, e, radial, *_ = x
        n_edges, d, n_radial = edge_index.size(-1), e.size(1), radial.size(-1)
        rows = [(len(a), 2 * d), (len(b), 2 * d), (n_edges, d), (n_edges, n_radial)]
        parameters = [(d, n_radial), (2 * d, d), (self.width * d, self.width * d), (self.width * d,)]
        check_shapes(dict(zip(self.names, x, strict=True)), [*rows, *parameters])
        check_pairs("edge_index", edge_index, (len(b), len(a)))


class _AtomUpdate(_Update):
    name = "atom_update"
    names = (*ROWS, "w_radial", "w_edge", "w_gate", "b_gate")
    width = 2
    message = staticmethod(atom_message)

    def plain(self, x: Sequence[Tensor], edge_index: Tensor) -> tuple[Tensor, ...]:
        messages = self._messages(x, edge_index)
        return (messages.new_zeros(len(x[0]), messages.size(1)).index_add(0, edge_index[1], messages),)

    def results(self, x: Sequence[Tensor], edge_index: Tensor, keep: bool) -> tuple[list[Tensor], Tensor]:
        a, _, e, *_ = x
        return [e.new_zeros(a.size(0), e.size(1))], self._kept(e, keep)


class _BondUpdate(_Update):
    name = "bond_update"
    names = (*ROWS, "w_radial", "w_edge", "w_out", "b_out")
    width = 1
    message = staticmethod(bond_message)

    def plain(self, x: Sequence[Tensor], edge_index: Tensor) -> tuple[Tensor, ...]:
        return (x[2] + self._messages(x, edge_index),)

    def results(self, x: Sequence[Tensor], edge_index: Tensor, keep: bool) -> tuple[list[Tensor], Tensor]:
        return [x[2].new_empty(x[2].shape)], self._kept(x[2], keep)


_ATOM_UPDATE, _BOND_UPDATE = _AtomUpdate(), _BondUpdate()
register("gated_edges", "edge_index", _ATOM_UPDATE, _BOND_UPDATE)
