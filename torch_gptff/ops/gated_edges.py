"""The atom and the bond update as operators: what a bond says to its centre, and to itself.

Both begin with ``z = a_i + b_j + W_e e_ij`` for a bond with centre ``i`` and neighbour ``j``, and weigh the message by
``W_r b_ij``. On the CPU they are
compiled kernels, where there is a compiler: the update, its gradient and the gradient of that, so that training on
forces goes through them too. Elsewhere they are plain tensor operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.library import custom_op

from torch_gptff.ops import native
from torch_gptff.ops.checks import check_pairs, check_shapes
from torch_gptff.ops.needed import needed
from torch_gptff.ops.plain import differentiate_twice
from torch_gptff.ops.transforms import direct, is_plain, under_transform

N_ROWS = 4
"""Inputs before the parameters: ``a``, ``b``, ``e`` and ``radial``."""

MAX_KEPT = 1 << 20
"""Numbers in ``e``, up to which what a gradient can use is kept."""


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
        a: what the centre gives to ``z``, ``[N, 2 d]``
        b: what the neighbour gives, ``[M, 2 d]``
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
    update = _DirectAtomUpdate.apply if is_plain(values) else torch.ops.torch_gptff.atom_update
    return update(*values, edge_index, _is_worth_keeping(values))[0]


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
    update = _DirectBondUpdate.apply if is_plain(values) else torch.ops.torch_gptff.bond_update
    return update(*values, edge_index, _is_worth_keeping(values))[0]


def _is_worth_keeping(values: Sequence[Tensor]) -> bool:
    """Whether derivatives will come, and have less work if the forward pass keeps its two products.

    In training they are needed three times. Where parameters are frozen, once, and memory is what large structures
    are short of.
    """
    if not (torch.is_grad_enabled() and any(value.requires_grad for value in values)):
        return False
    is_training = any(value.requires_grad for value in values[N_ROWS:])
    return is_training or values[2].numel() <= MAX_KEPT


def _atom_update(
    a: Tensor,
    b: Tensor,
    e: Tensor,
    radial: Tensor,
    w_radial: Tensor,
    w_edge: Tensor,
    w_gate: Tensor,
    b_gate: Tensor,
    edge_index: Tensor,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    rows = {"a": a, "b": b, "e": e, "radial": radial}
    x = rows | {"w_radial": w_radial, "w_edge": w_edge, "w_gate": w_gate, "b_gate": b_gate}
    d = e.size(1)
    _check(x, [(2 * d, d), (2 * d, 2 * d), (2 * d,)], edge_index)
    return native.edges_forward("atom_update", list(x.values()), edge_index, keep)


def _bond_update(
    a: Tensor,
    b: Tensor,
    e: Tensor,
    radial: Tensor,
    w_radial: Tensor,
    w_edge: Tensor,
    w_out: Tensor,
    b_out: Tensor,
    edge_index: Tensor,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    rows = {"a": a, "b": b, "e": e, "radial": radial}
    x = rows | {"w_radial": w_radial, "w_edge": w_edge, "w_out": w_out, "b_out": b_out}
    d = e.size(1)
    _check(x, [(2 * d, d), (d, d), (d,)], edge_index)
    return native.edges_forward("bond_update", list(x.values()), edge_index, keep)


def _backward(
    name: str, dout: Tensor, x: list[Tensor], edge_index: Tensor, kept: Tensor, with_parameters: bool
) -> list[Tensor]:
    return native.edges_backward(name, dout, x, edge_index, kept, with_parameters)


@custom_op("torch_gptff::gated_edges_double_backward", mutates_args=())
def _double_backward(
    name: str,
    t: list[Tensor],
    dout: Tensor,
    x: list[Tensor],
    edge_index: Tensor,
    kept: Tensor,
    with_parameters: bool,
) -> list[Tensor]:
    return native.edges_double_backward(name, t, dout, x, edge_index, kept, with_parameters)


def _check(x: dict[str, Tensor], shapes: list[tuple[int, ...]], edge_index: Tensor) -> None:
    n_edges, d, n_radial = edge_index.size(-1), x["e"].size(1), x["radial"].size(-1)
    n_centres, n_neighbours = len(x["a"]), len(x["b"])
    rows = [(n_edges, d), (n_centres, 2 * d), (n_neighbours, 2 * d), (n_edges, n_radial)]
    check_shapes({"e": x["e"]} | x, [*rows, (d, n_radial), *shapes])
    check_pairs("edge_index", edge_index, (n_neighbours, n_centres))


def _plain_atom_update(
    a: Tensor, b: Tensor, e: Tensor, radial: Tensor, w_radial: Tensor, w_edge: Tensor, *gate: Tensor, edge_index: Tensor
) -> Tensor:
    message = atom_message(_z(a, b, e, w_edge, edge_index), F.linear(radial, w_radial), *gate)
    return message.new_zeros(len(a), message.size(1)).index_add(0, edge_index[1], message)


def _plain_bond_update(
    a: Tensor, b: Tensor, e: Tensor, radial: Tensor, w_radial: Tensor, w_edge: Tensor, *out: Tensor, edge_index: Tensor
) -> Tensor:
    return e + bond_message(_z(a, b, e, w_edge, edge_index), F.linear(radial, w_radial), *out)


_PLAIN = {"atom_update": _plain_atom_update, "bond_update": _plain_bond_update}


def _z(a: Tensor, b: Tensor, e: Tensor, w_edge: Tensor, edge_index: Tensor) -> Tensor:
    neighbour, centre = edge_index
    return a.index_select(0, centre) + b.index_select(0, neighbour) + F.linear(e, w_edge)


_atom_operator = custom_op("torch_gptff::atom_update", _atom_update, mutates_args=())
_bond_operator = custom_op("torch_gptff::bond_update", _bond_update, mutates_args=())
_backward_operator = custom_op("torch_gptff::gated_edges_backward", _backward, mutates_args=())


@_atom_operator.register_fake
def _(a: Tensor, b: Tensor, e: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    return e.new_empty(a.size(0), e.size(1)), e.new_empty(e.size(0) if others[-1] else 0, 4 * e.size(1))


@_bond_operator.register_fake
def _(a: Tensor, b: Tensor, e: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    return e.new_empty(e.shape), e.new_empty(e.size(0) if others[-1] else 0, 3 * e.size(1))


@_backward_operator.register_fake
def _(name: str, dout: Tensor, x: list[Tensor], *others: Any) -> list[Tensor]:
    return [value.new_empty(value.shape) for value in x]


@_double_backward.register_fake
def _(name: str, t: list[Tensor], dout: Tensor, x: list[Tensor], *others: Any) -> list[Tensor]:
    return [value.new_empty(value.shape) for value in (dout, *x)]


def _keep_forward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *values, _ = inputs
    kept = output[1]
    ctx.mark_non_differentiable(kept)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*values, kept)


def _differentiate_forward(name: str) -> Callable[..., tuple[Tensor | None, ...]]:
    def differentiate(ctx: Any, dout: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        *x, edge_index, kept = ctx.saved_tensors
        wanted = ctx.needs_input_grad[: len(x)]
        if dout is None:
            return (*[None] * len(x), None, None)
        with_parameters = needed(ctx, range(N_ROWS, len(x)))
        is_last = not torch.is_grad_enabled() and is_plain([dout])
        backward = _backward if is_last else torch.ops.torch_gptff.gated_edges_backward
        gradients = backward(name, dout, x, edge_index, kept, with_parameters)
        return (*(g if w else None for g, w in zip(gradients, wanted, strict=True)), None, None)

    return differentiate


def _keep_backward(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    ctx.name, dout, x, edge_index, kept, ctx.with_parameters = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(dout, *x, edge_index, kept)


def _differentiate_backward(ctx: Any, tangents: list[Tensor | None]) -> tuple[Any, ...]:
    dout, *x, edge_index, kept = ctx.saved_tensors
    if not ctx.with_parameters:  # their gradients are zero, whatever their values
        tangents = [*tangents[:N_ROWS], *[None] * (len(x) - N_ROWS)]
    # A loss of forces does not look at the gradients by the parameters: nothing there is the usual case.
    if any(tangent is not None for tangent in tangents[N_ROWS:]):
        plain = partial(_PLAIN[ctx.name], edge_index=edge_index)
        return None, *differentiate_twice(plain, tangents, dout, x), None, None, None
    t = [torch.zeros_like(v) if tangent is None else tangent for tangent, v in zip(tangents, x, strict=True)]
    with_parameters = any(value.requires_grad for value in x[N_ROWS:])
    ddout, *d = torch.ops.torch_gptff.gated_edges_double_backward(
        ctx.name, t, dout, x, edge_index, kept, with_parameters
    )
    return None, ddout, d, None, None, None


_differentiate_atom_update = _differentiate_forward("atom_update")
_differentiate_bond_update = _differentiate_forward("bond_update")
_atom_operator.register_autograd(_differentiate_atom_update, setup_context=_keep_forward)
_bond_operator.register_autograd(_differentiate_bond_update, setup_context=_keep_forward)
_backward_operator.register_autograd(_differentiate_backward, setup_context=_keep_backward)
_DirectAtomUpdate = direct("AtomUpdate", _atom_update, _keep_forward, _differentiate_atom_update)
_DirectBondUpdate = direct("BondUpdate", _bond_update, _keep_forward, _differentiate_bond_update)
