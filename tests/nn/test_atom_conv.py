"""The atom update against its formula."""

from __future__ import annotations

import torch
from torch import cat, sigmoid
from torch.nn.functional import silu

from torch_gptff.nn import AtomConv


def literal(layer: AtomConv, graph) -> torch.Tensor:
    """``x_i += Σ_j swish(W_1 g) ⊙ σ(W_2 g) ⊙ W_r b_ij`` with ``g = swish(W [x_i ‖ x_j ‖ e_ij])``, bond by bond."""
    w_1, w_2 = layer.lin_gated.weight.chunk(2)
    b_1, b_2 = layer.lin_gated.bias.chunk(2)
    update = torch.zeros_like(graph.x)
    for bond, j, i in graph.bonds:
        joined = cat([graph.x[i], graph.x[j], graph.e[bond]])
        g = silu(layer.lin_full.weight @ joined + layer.lin_full.bias)
        message = silu(w_1 @ g + b_1) * sigmoid(w_2 @ g + b_2) * (layer.lin_radial.weight @ graph.radial[bond])
        update[i] = update[i] + message
    return update


def test_formula(graph, paths):
    layer = paths(AtomConv(8, 5))
    update = layer(graph.x, graph.edge_index, graph.e, graph.radial)
    torch.testing.assert_close(update, literal(layer, graph), atol=1e-13, rtol=0)
    assert not update[5].any()  # no bond, no message


def test_gradient(graph, paths):
    layer = paths(AtomConv(8, 5))
    inputs = [value.requires_grad_() for value in (graph.x, graph.e, graph.radial)]
    weight = torch.randn_like(graph.x)
    gradients = torch.autograd.grad(layer(graph.x, graph.edge_index, graph.e, graph.radial), inputs, weight)
    for gradient, expected in zip(gradients, torch.autograd.grad(literal(layer, graph), inputs, weight), strict=True):
        torch.testing.assert_close(gradient, expected, atol=1e-12, rtol=0)


def test_centres_may_be_a_range_of_the_atoms(graph, paths):
    layer = paths(AtomConv(8, 5))
    whole = layer(graph.x, graph.edge_index, graph.e, graph.radial)
    bonds = slice(4, 9)  # of the centres 1 and 2
    edge_index = graph.edge_index[:, bonds] - torch.tensor([[0], [1]])
    part = layer((graph.x, graph.x[1:3]), edge_index, graph.e[bonds], graph.radial[bonds])
    torch.testing.assert_close(part, whole[1:3], atol=1e-13, rtol=0)


def test_reset_and_repr():
    layer = AtomConv(8, 5)
    before = [parameter.clone() for parameter in layer.parameters()]
    layer.reset_parameters()
    assert all(not torch.equal(*both) for both in zip(before, layer.parameters(), strict=True))
    assert repr(layer) == "AtomConv(8, num_radial=5)"
