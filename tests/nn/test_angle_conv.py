"""The angle update against its formula."""

from __future__ import annotations

import torch
from torch import cat, sigmoid
from torch.nn.functional import silu

from torch_gptff.graph.geometry import COSINE_SCALE
from torch_gptff.nn import AngleConv


def literal(layer: AngleConv, graph) -> torch.Tensor:
    """``e_ij += Σ_k σ(W_1 h) ⊙ swish(W_2 h) ⊙ W_j t_ij ⊙ W_k t_ik ⊙ W_a cos θ``, over all pairs of bonds ``ij, ik``.

    with ``h = swish(W_fea [x_i ‖ x_j ‖ x_k ‖ e_ij ‖ e_ik])``; two different bonds may lead to one and the same atom.
    """
    w_2, w_1 = layer.lin_gated.weight.chunk(2)  # values above gates
    b_2, b_1 = layer.lin_gated.bias.chunk(2)
    x, e = graph.x, graph.e
    update = torch.zeros_like(e)
    for ij, j, i in graph.bonds:
        for ik, k, centre in graph.bonds:
            if centre != i or ij == ik:
                continue
            h = silu(layer.lin_full.weight @ cat([x[i], x[j], x[k], e[ij], e[ik]]) + layer.lin_full.bias)
            cosine = COSINE_SCALE * (graph.direction[ij] @ graph.direction[ik])
            message = sigmoid(w_1 @ h + b_1) * silu(w_2 @ h + b_2)
            message = message * (layer.lin_radial_j.weight @ graph.radial[ij])
            message = message * (layer.lin_radial_k.weight @ graph.radial[ik])
            message = message * (layer.lin_angle.weight[:, 0] * cosine + layer.lin_angle.bias)
            update[ij] = update[ij] + message
    return update


def arguments(graph):
    return graph.x, graph.edge_index, graph.e, graph.angle_index, graph.radial, graph.direction


def test_formula(graph, paths):
    layer = paths(AngleConv(8, 5))
    update = layer(*arguments(graph))
    torch.testing.assert_close(update, literal(layer, graph), atol=1e-13, rtol=0)
    assert not update[9:].any()  # the only bond of its centre forms no angle


def test_gradient(graph, paths):
    layer = paths(AngleConv(8, 5))
    inputs = [value.requires_grad_() for value in (graph.x, graph.e, graph.radial, graph.direction)]
    weight = torch.randn_like(graph.e)
    gradients = torch.autograd.grad(layer(*arguments(graph)), inputs, weight)
    for gradient, expected in zip(gradients, torch.autograd.grad(literal(layer, graph), inputs, weight), strict=True):
        torch.testing.assert_close(gradient, expected, atol=1e-12, rtol=0)


def test_bonds_without_angles_are_not_updated(graph, paths):
    layer = paths(AngleConv(8, 5))
    graph.angle_index = graph.angle_index[:, :0]
    assert not layer(*arguments(graph)).any()


def test_reset_and_repr():
    layer = AngleConv(8, 5)
    before = [parameter.clone() for parameter in layer.parameters()]
    layer.reset_parameters()
    assert all(not torch.equal(*both) for both in zip(before, layer.parameters(), strict=True))
    assert repr(layer) == "AngleConv(8, num_radial=5)"
