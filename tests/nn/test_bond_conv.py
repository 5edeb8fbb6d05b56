"""The bond update against its formula."""

from __future__ import annotations

import torch
from torch import cat, sigmoid
from torch.nn.functional import silu

from torch_gptff.nn import BondConv


def literal(layer: BondConv, graph) -> torch.Tensor:
    """``e_ij + swish(W_3 s) ⊙ W_r b_ij`` with ``s = swish(W_1 u) ⊙ σ(W_2 u)``, ``u = [x_i ‖ x_j ‖ e_ij]``."""
    w_1, w_2 = layer.lin_gated.weight.chunk(2)
    b_1, b_2 = layer.lin_gated.bias.chunk(2)
    updated = []
    for bond, j, i in graph.bonds:
        u = cat([graph.x[i], graph.x[j], graph.e[bond]])
        s = silu(w_1 @ u + b_1) * sigmoid(w_2 @ u + b_2)
        message = silu(layer.lin_out.weight @ s + layer.lin_out.bias) * (layer.lin_radial.weight @ graph.radial[bond])
        updated.append(graph.e[bond] + message)
    return torch.stack(updated)


def test_formula(graph, paths):
    layer = paths(BondConv(8, 5))
    updated = layer(graph.x, graph.edge_index, graph.e, graph.radial)
    torch.testing.assert_close(updated, literal(layer, graph), atol=1e-13, rtol=0)


def test_gradient(graph, paths):
    layer = paths(BondConv(8, 5))
    inputs = [value.requires_grad_() for value in (graph.x, graph.e, graph.radial)]
    weight = torch.randn_like(graph.e)
    gradients = torch.autograd.grad(layer(graph.x, graph.edge_index, graph.e, graph.radial), inputs, weight)
    for gradient, expected in zip(gradients, torch.autograd.grad(literal(layer, graph), inputs, weight), strict=True):
        torch.testing.assert_close(gradient, expected, atol=1e-12, rtol=0)


def test_centres_may_be_a_range_of_the_atoms(graph, paths):
    layer = paths(BondConv(8, 5))
    whole = layer(graph.x, graph.edge_index, graph.e, graph.radial)
    bonds = slice(4, 9)  # of the centres 1 and 2
    edge_index = graph.edge_index[:, bonds] - torch.tensor([[0], [1]])
    part = layer((graph.x, graph.x[1:3]), edge_index, graph.e[bonds], graph.radial[bonds])
    torch.testing.assert_close(part, whole[bonds], atol=1e-13, rtol=0)


def test_reset_and_repr():
    layer = BondConv(8, 5)
    before = [parameter.clone() for parameter in layer.parameters()]
    layer.reset_parameters()
    assert all(not torch.equal(*both) for both in zip(before, layer.parameters(), strict=True))
    assert repr(layer) == "BondConv(8, num_radial=5)"
