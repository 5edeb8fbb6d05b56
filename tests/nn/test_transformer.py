"""The transformer against PyTorch's own, and attention within the cutoff against its formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from torch_gptff.nn import GlobalAttention, GraphTransformer, LocalAttention

BATCH = torch.tensor([0, 0, 0, 1, 2, 2])


def pytorch_twin(ours: GraphTransformer, heads: int) -> nn.TransformerEncoderLayer:
    """PyTorch's encoder layer with the same weights; its keys have a bias, which here is random."""
    attention = ours.attention
    width, hidden = ours.lin1.in_features, ours.lin1.out_features
    theirs = nn.TransformerEncoderLayer(width, heads, hidden, dropout=0.0, activation="gelu", batch_first=True)
    theirs = theirs.double()
    key_bias = torch.randn(width, dtype=torch.float64)
    query, key, value = attention.lin_query, attention.lin_key, attention.lin_value
    theirs.load_state_dict(
        {
            "self_attn.in_proj_weight": torch.cat([query.weight, key.weight, value.weight]),
            "self_attn.in_proj_bias": torch.cat([query.bias, key_bias, value.bias]),
            "self_attn.out_proj.weight": attention.lin_out.weight,
            "self_attn.out_proj.bias": attention.lin_out.bias,
            "linear1.weight": ours.lin1.weight,
            "linear1.bias": ours.lin1.bias,
            "linear2.weight": ours.lin2.weight,
            "linear2.bias": ours.lin2.bias,
            "norm1.weight": ours.norm1.weight,
            "norm1.bias": ours.norm1.bias,
            "norm2.weight": ours.norm2.weight,
            "norm2.bias": ours.norm2.bias,
        }
    )
    return theirs


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_global_attention_is_pytorchs_encoder_layer_on_every_structure(heads):
    ours = GraphTransformer(GlobalAttention(8, heads), 8, 12).double()
    for norm in (ours.norm1, ours.norm2):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    theirs = pytorch_twin(ours, heads)
    x = torch.randn(6, 8, dtype=torch.float64)
    expected = torch.cat([theirs(atoms.unsqueeze(0))[0] for atoms in x.split([3, 1, 2])])
    torch.testing.assert_close(ours(x, BATCH, 3), expected, atol=1e-13, rtol=0)


def literal_local_attention(layer: LocalAttention, x, edge_index, radial, heads):
    """Every atom's neighbours and itself, one by one: ``Σ_j u_ij exp(s_ij) W_v x_j / Σ_k u_ik exp(s_ik)``."""
    width = x.size(1) // heads
    query, key, value = (linear(x) for linear in (layer.lin_query, layer.lin_key, layer.lin_value))
    mixed = torch.zeros_like(x)
    for i in range(len(x)):
        for head in range(heads):
            of_head = slice(head * width, (head + 1) * width)
            attended, weights = [i], [torch.exp(query[i, of_head] @ key[i, of_head] / math.sqrt(width))]
            for bond in (edge_index[1] == i).nonzero().flatten().tolist():
                j = int(edge_index[0, bond])
                score = query[i, of_head] @ key[j, of_head] / math.sqrt(width)
                score = score + layer.lin_bias.weight[head] @ radial[bond]
                attended.append(j)
                weights.append(radial[bond, -1] * torch.exp(score))
            shares = torch.stack(weights) / sum(weights)
            mixed[i, of_head] = sum(share * value[j, of_head] for share, j in zip(shares, attended, strict=True))
    return layer.lin_out(mixed)


@pytest.mark.parametrize("heads", [1, 2])
def test_local_attention_formula(graph, heads):
    layer = LocalAttention(8, heads, 5).double()
    radial = graph.radial.clone()
    radial[:, -1] = torch.rand(len(radial), dtype=torch.float64)  # the envelope
    found = layer(graph.x, graph.edge_index, radial)
    expected = literal_local_attention(layer, graph.x, graph.edge_index, radial, heads)
    torch.testing.assert_close(found, expected, atol=1e-13, rtol=0)


def test_local_attention_does_not_overflow(graph):
    layer = LocalAttention(8, 2, 5).double()
    radial = graph.radial.clone()
    radial[:, -1] = torch.rand(len(radial), dtype=torch.float64)
    assert layer(1e3 * graph.x, graph.edge_index, 1e3 * radial).isfinite().all()


def test_a_neighbour_at_the_cutoff_is_as_good_as_none(graph):
    layer = LocalAttention(8, 2, 5).double()
    radial = graph.radial.abs()
    radial[3] = 0  # every radial feature of a bond vanishes at the cutoff
    others = torch.arange(len(radial)) != 3
    with_it = layer(graph.x, graph.edge_index, radial)
    torch.testing.assert_close(with_it, layer(graph.x, graph.edge_index[:, others], radial[others]), atol=1e-13, rtol=0)


def test_an_atom_without_neighbours_attends_to_itself(graph):
    layer = LocalAttention(8, 2, 5).double()
    alone = layer(graph.x, graph.edge_index, graph.radial.abs())[5]
    torch.testing.assert_close(alone, layer.lin_out(layer.lin_value(graph.x[5])), atol=1e-13, rtol=0)


def test_local_attention_of_a_range_of_the_atoms(graph):
    layer = LocalAttention(8, 2, 5).double()
    radial = graph.radial.abs()
    whole = layer(graph.x, graph.edge_index, radial)
    bonds = slice(4, 9)  # of the centres 1 and 2
    edge_index = graph.edge_index[:, bonds] - torch.tensor([[0], [1]])
    part = layer((graph.x, graph.x[1:3]), edge_index, radial[bonds])
    torch.testing.assert_close(part, whole[1:3], atol=1e-13, rtol=0)


@pytest.mark.parametrize("attention", [GlobalAttention(8, 2), LocalAttention(8, 2, 5)])
def test_reset_parameters(attention):
    layer = GraphTransformer(attention, 8, 12)
    before = {name: parameter.clone() for name, parameter in layer.named_parameters() if "norm" not in name}
    nn.init.zeros_(layer.norm1.weight)
    layer.reset_parameters()
    assert layer.norm1.weight.eq(1).all()
    assert not any(torch.equal(layer.get_parameter(name), value) for name, value in before.items())
