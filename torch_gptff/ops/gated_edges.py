"""The atom and the bond update as operators: what a bond says to its centre, and to itself.

Both begin with ``z = a_i + b_j + W_e e_ij`` for a bond with centre ``i`` and neighbour ``j``. On the CPU they are
compiled kernels, where there is a compiler, as long as no gradient by a parameter is asked for; training goes through
the plain formulas, which autograd differentiates as often as wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.library import custom_op

from torch_gptff.ops import native
from torch_gptff.ops.checks import check_pairs, check_shapes
from torch_gptff.ops.transforms import under_transform


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


def can_fuse(e: Tensor, parameters: list[Tensor]) -> bool:
    """Whether the fused operators take bond features ``e [E, d]``: on the CPU, with the parameters frozen."""
    frozen = not (torch.is_grad_enabled() and any(parameter.requires_grad for parameter in parameters))
    return frozen and not under_transform() and e.device.type == "cpu" and native.is_available(e.dtype, e.size(1))


def atom_update(
    a: Tensor,
    b: Tensor,
    e: Tensor,
    weight: Tensor,
    w_edge: Tensor,
    w_gate: Tensor,
    b_gate: Tensor,
    edge_index: Tensor,
) -> Tensor:
    """The sum over every centre's bonds of :func:`atom_message`, computed in the dtype of ``e``.

    Args:
        a: what the centre gives to ``z``, ``[N, 2 d]``
        b: what the neighbour gives, ``[M, 2 d]``
        e: bond features, ``[E, d]``
        weight: of the message, ``[E, d]``
        w_edge: ``[2 d, d]``
        w_gate: ``[2 d, 2 d]``
        b_gate: ``[2 d]``
        edge_index: neighbours and centres, int64 ``[2, E]``; fastest with the bonds of one centre together

    Returns:
        ``[N, d]``

    Raises:
        GraphError: the shapes do not fit together, or ``edge_index`` points to atoms that do not exist.
    """
    values = (value.to(e.dtype) for value in (a, b, e, weight, w_edge, w_gate, b_gate))
    return torch.ops.torch_gptff.atom_update(*values, edge_index)


def bond_update(
    a: Tensor,
    b: Tensor,
    e: Tensor,
    weight: Tensor,
    w_edge: Tensor,
    w_out: Tensor,
    b_out: Tensor,
    edge_index: Tensor,
) -> Tensor:
    """:func:`bond_message` of every bond; arguments as for :func:`atom_update`, ``w_out [d, d]``, ``b_out [d]``.

    Returns:
        ``[E, d]``
    """
    values = (value.to(e.dtype) for value in (a, b, e, weight, w_edge, w_out, b_out))
    return torch.ops.torch_gptff.bond_update(*values, edge_index)


@custom_op("torch_gptff::atom_update", mutates_args=())
def _atom_update(
    a: Tensor,
    b: Tensor,
    e: Tensor,
    weight: Tensor,
    w_edge: Tensor,
    w_gate: Tensor,
    b_gate: Tensor,
    edge_index: Tensor,
) -> Tensor:
    parameters = {"w_edge": w_edge, "w_gate": w_gate, "b_gate": b_gate}
    d = e.size(1)
    _check((a, b, e, weight), parameters, [(2 * d, d), (2 * d, 2 * d), (2 * d,)], edge_index)
    return native.edges_forward("atom_update", (a, b, e, weight), tuple(parameters.values()), edge_index)


@custom_op("torch_gptff::bond_update", mutates_args=())
def _bond_update(
    a: Tensor,
    b: Tensor,
    e: Tensor,
    weight: Tensor,
    w_edge: Tensor,
    w_out: Tensor,
    b_out: Tensor,
    edge_index: Tensor,
) -> Tensor:
    parameters = {"w_edge": w_edge, "w_out": w_out, "b_out": b_out}
    d = e.size(1)
    _check((a, b, e, weight), parameters, [(2 * d, d), (d, d), (d,)], edge_index)
    return native.edges_forward("bond_update", (a, b, e, weight), tuple(parameters.values()), edge_index)


@custom_op("torch_gptff::gated_edges_backward", mutates_args=())
def _backward(name: str, dout: Tensor, x: list[Tensor], parameters: list[Tensor], edge_index: Tensor) -> list[Tensor]:
    return native.edges_backward(name, dout, tuple(x), tuple(parameters), edge_index)


def _check(
    x: tuple[Tensor, ...], parameters: dict[str, Tensor], shapes: list[tuple[int, ...]], edge_index: Tensor
) -> None:
    a, b, e, weight = x
    n_edges, d = edge_index.size(-1), e.size(1)
    rows = {"e": e, "a": a, "b": b, "weight": weight}
    check_shapes(rows | parameters, [(n_edges, d), (len(a), 2 * d), (len(b), 2 * d), (n_edges, d), *shapes])
    check_pairs("edge_index", edge_index, (len(b), len(a)))


def _plain_atom_update(
    a: Tensor, b: Tensor, e: Tensor, weight: Tensor, w_edge: Tensor, *gate: Tensor, edge_index: Tensor
) -> Tensor:
    message = atom_message(_z(a, b, e, w_edge, edge_index), weight, *gate)
    return message.new_zeros(len(a), message.size(1)).index_add(0, edge_index[1], message)


def _plain_bond_update(
    a: Tensor, b: Tensor, e: Tensor, weight: Tensor, w_edge: Tensor, *out: Tensor, edge_index: Tensor
) -> Tensor:
    return bond_message(_z(a, b, e, w_edge, edge_index), weight, *out)


def _z(a: Tensor, b: Tensor, e: Tensor, w_edge: Tensor, edge_index: Tensor) -> Tensor:
    neighbour, centre = edge_index
    return a.index_select(0, centre) + b.index_select(0, neighbour) + F.linear(e, w_edge)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(name: str, plain: Callable[..., Tensor]) -> Callable[..., tuple[Tensor | None, ...]]:
    def differentiate(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        *values, edge_index = ctx.saved_tensors
        wanted = ctx.needs_input_grad[: len(values)]
        if not torch.is_grad_enabled() and not any(wanted[4:]):
            gradients = torch.ops.torch_gptff.gated_edges_backward(name, dout, values[:4], values[4:], edge_index)
            return (*gradients, None, None, None, None)
        # Wanted by the parameters, or to be differentiated again: by autograd, through the plain formulas.
        with torch.enable_grad(), torch.autocast(dout.device.type, enabled=False):
            # Views, so that a gradient ends here also where one input was computed from another, or is the same.
            values = [value.view_as(value) for value in values]
            inputs = [value for value, w in zip(values, wanted, strict=True) if w]
            gradients = torch.autograd.grad(plain(*values, edge_index=edge_index), inputs, dout, create_graph=True)
        remaining = iter(gradients)
        return (*(next(remaining) if w else None for w in wanted), None)

    return differentiate


@_atom_update.register_fake
def _(a: Tensor, b: Tensor, e: Tensor, *others: Tensor) -> Tensor:
    return e.new_empty(a.size(0), e.size(1))


@_bond_update.register_fake
def _(a: Tensor, b: Tensor, e: Tensor, *others: Tensor) -> Tensor:
    return e.new_empty(e.shape)


@_backward.register_fake
def _(name: str, dout: Tensor, x: list[Tensor], parameters: list[Tensor], edge_index: Tensor) -> list[Tensor]:
    return [value.new_empty(value.shape) for value in x]


_atom_update.register_autograd(_differentiate("atom_update", _plain_atom_update), setup_context=_keep)
_bond_update.register_autograd(_differentiate("bond_update", _plain_bond_update), setup_context=_keep)
