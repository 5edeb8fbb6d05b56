"""Attention to neighbours as an operator: its value and two derivatives, against one literal formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from torch.autograd import grad

from torch_gptff.errors import GraphError
from torch_gptff.nn import LocalAttention
from torch_gptff.ops import native
from torch_gptff.ops.local_attention import local_attention, shares

pytestmark = pytest.mark.skipif(
    not native.is_available(torch.float32, 32), reason="there is no C++ compiler that makes the native kernels"
)

Agree = Callable[[Sequence[Tensor], Sequence[Tensor], float], None]
WIDE = pytest.param(96, marks=pytest.mark.slow)  # its kernels are compiled for this test alone
RADIAL = 5


def literal(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    own_key: Tensor,
    own_value: Tensor,
    bias: Tensor,
    envelope: Tensor,
    edge_index: Tensor,
) -> Tensor:
    """Every head and every centre by itself."""
    neighbour, centre = edge_index
    rows = []
    for i in range(len(query)):
        bonds = (centre == i).nonzero().squeeze(-1)
        keys, values = (torch.cat([own[i : i + 1], all_[neighbour[bonds]]]) for own, all_ in
                        ((own_key, key), (own_value, value)))  # fmt: skip
        weight = torch.cat([envelope.new_ones(1), envelope[bonds]])
        heads = []
        split = (x.tensor_split(bias.size(1), dim=-1) for x in (query[i], keys, values))
        for h, (q, k, v) in enumerate(zip(*split, strict=True)):
            score = k @ q + torch.cat([bias.new_zeros(1), bias[bonds, h]])
            share = weight * (score - score.max().detach()).exp()
            heads.append(share / share.sum() @ v)
        rows.append(torch.cat(heads))
    return torch.stack(rows)


def random_edges(n_edges: int, n_centres: int, n_neighbours: int, is_sorted: bool = True) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    centre = torch.randint(n_centres, (n_edges,), generator=generator)
    neighbour = torch.randint(n_neighbours, (n_edges,), generator=generator)
    return torch.stack([neighbour, centre.sort().values if is_sorted else centre])


EDGES = {
    "crystal": (9, 9, random_edges(130, 9, 9)),
    "none": (3, 3, torch.empty(2, 0, dtype=torch.int64)),
    "one": (3, 3, torch.tensor([[2], [0]])),
    "unsorted": (9, 9, random_edges(100, 9, 9, is_sorted=False)),
    "from more atoms than there are centres": (3, 8, random_edges(50, 3, 8)),
    "last atoms without bonds": (12, 12, random_edges(49, 5, 5)),
}
"""Numbers of centres and neighbours, and the bonds between them."""


def random_inputs(edges: str, d: int = 32, heads: int = 2, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    n_centres, n_neighbours, edge_index = EDGES[edges]
    shapes = ((n_centres, d), (n_neighbours, d), (n_neighbours, d), (n_centres, d), (n_centres, d))
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randn(*shape, dtype=torch.float64, generator=generator) for shape in shapes]
    rows[0] /= (d / heads) ** 0.5
    bias = torch.randn(edge_index.size(1), heads, dtype=torch.float64, generator=generator)
    envelope = torch.rand(edge_index.size(1), dtype=torch.float64, generator=generator)
    return [*(value.to(dtype) for value in (*rows, bias, envelope)), edge_index]


def leaves(inputs: list[Tensor]) -> list[Tensor]:
    """All but the bonds ask for gradients."""
    return [value.detach().requires_grad_() for value in inputs[:-1]] + inputs[-1:]


def value_and_gradient(function: Callable[..., Tensor], inputs: list[Tensor]) -> list[Tensor]:
    inputs = leaves(inputs)
    out = function(*inputs)
    return [out.detach(), *grad(out.sin().sum(), inputs[:-1])]


def second_gradient(function: Callable[..., Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """By all inputs, of a function of the gradients by all of them."""
    inputs = leaves(inputs)
    first = grad(function(*inputs).sin().sum(), inputs[:-1], create_graph=True)
    return list(grad(sum(g.square().sum() for g in first), inputs[:-1]))


@pytest.mark.parametrize("heads", [1, 2, 4, 16])  # heads of four, two and one vectors of AVX-512, and of less than one
@pytest.mark.parametrize("edges", EDGES)
def test_equals_literal_formula_with_both_derivatives(edges: str, heads: int, assert_agree: Agree) -> None:
    inputs = random_inputs(edges, heads=heads)
    for derivative in (value_and_gradient, second_gradient):
        assert_agree(derivative(local_attention, inputs), derivative(literal, inputs), epsilons=1000)


@pytest.mark.parametrize("d", [32, 64, WIDE])
def test_float32_is_the_float64_result_to_rounding(d: int, assert_agree: Agree) -> None:
    inputs = random_inputs("crystal", d, dtype=torch.float32)
    exact = value_and_gradient(literal, [*(value.double() for value in inputs[:-1]), inputs[-1]])
    assert_agree(value_and_gradient(local_attention, inputs), exact, epsilons=100)


def test_gradients_against_differences() -> None:
    *values, edge_index = leaves(random_inputs("from more atoms than there are centres"))
    assert torch.autograd.gradcheck(lambda *x: local_attention(*x, edge_index), values, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda *x: local_attention(*x, edge_index), values, fast_mode=True)


def test_envelopes_of_zero() -> None:
    """What has faded away has no share, and a finite gradient."""
    inputs = random_inputs("crystal")
    inputs[6][:] = 0
    out, *gradients = value_and_gradient(local_attention, inputs)
    torch.testing.assert_close(out, inputs[4])
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_scores_beyond_the_range_of_exp() -> None:
    inputs = random_inputs("crystal", dtype=torch.float32)
    inputs[0] *= 1e4
    assert all(value.isfinite().all() for value in value_and_gradient(local_attention, inputs))


@pytest.mark.parametrize("envelope", [0.0, 1e-30, 1e-12, 1e-2])
def test_the_largest_score_next_to_the_cutoff(envelope: float, assert_agree: Agree) -> None:
    """What has all but faded away may be what an atom would look at most."""
    inputs = random_inputs("crystal", dtype=torch.float32)
    inputs[5] *= 20
    inputs[5][::4] += 200
    inputs[6][::4] = envelope
    exact = value_and_gradient(literal, [*(value.double() for value in inputs[:-1]), inputs[-1]])
    found = value_and_gradient(local_attention, inputs)
    assert all(value.isfinite().all() for value in found)
    assert_agree(found[:-1], exact[:-1], epsilons=1000)  # of all but the envelope, which is divided by
    own, others = shares(inputs[0], inputs[1], inputs[3], inputs[5], inputs[6], inputs[7])
    total = own.index_add(0, inputs[7][1], others)
    torch.testing.assert_close(total, torch.ones_like(total))


def test_inputs_that_are_the_same_tensor(assert_agree: Agree) -> None:
    """As in a whole graph, where neighbours and centres are the same atoms."""
    query, key, value, _, _, *rest = random_inputs("crystal")

    def of_three(function: Callable[..., Tensor]) -> list[Tensor]:
        q, k, v = (each.detach().requires_grad_() for each in (query, key, value))
        first = grad(function(q, k, v, k, v, *rest).sin().sum(), (q, k, v), create_graph=True)
        return [*first, *grad(sum(g.square().sum() for g in first), (q, k, v))]

    assert_agree(of_three(local_attention), of_three(literal), epsilons=1000)


@pytest.mark.parametrize("edges", ["crystal", "unsorted", "none", "last atoms without bonds"])
def test_threads_change_rounding_only_and_the_same_number_nothing(
    edges: str, threads: Callable[[int], None], assert_agree: Agree
) -> None:
    inputs = random_inputs(edges, 64, dtype=torch.float32)

    def everything() -> list[Tensor]:
        return value_and_gradient(local_attention, inputs) + second_gradient(local_attention, inputs)

    threads(1)
    serial = everything()
    for number in (2, 3, 5):
        threads(number)
        parallel = everything()
        assert_agree(parallel, serial, epsilons=100)
        assert all(torch.equal(a, b) for a, b in zip(parallel, everything(), strict=True))


def test_strided_inputs(assert_agree: Agree) -> None:
    inputs = random_inputs("crystal")
    strided = [torch.stack([value, value], dim=-1)[..., 0] for value in inputs]
    expected = value_and_gradient(local_attention, inputs)
    assert_agree(value_and_gradient(local_attention, strided), expected, epsilons=0)


def test_nan_stays_where_it_belongs() -> None:
    for number in range(7):
        inputs = random_inputs("crystal")
        inputs[number][5] = torch.nan
        for actual, expected in zip(*(value_and_gradient(f, inputs) for f in (local_attention, literal)), strict=True):
            rows = (value.isnan().reshape(len(value), -1).any(dim=1) for value in (actual, expected))
            assert torch.equal(*rows)


# Within the rest of PyTorch


def test_operators_keep_their_promises() -> None:
    inputs = random_inputs("from more atoms than there are centres")
    operators = torch.ops.torch_gptff
    torch.library.opcheck(operators.local_attention, tuple(leaves(inputs)))
    *x, edge_index = leaves(inputs)
    frozen = [value.detach() for value in x]
    out, kept = operators.local_attention(*frozen, edge_index)
    dout, t = torch.randn_like(out), [torch.randn_like(value) for value in x]
    torch.library.opcheck(operators.local_attention_backward, (dout.requires_grad_(), x, edge_index, kept))
    arguments = (t, dout.detach(), frozen, edge_index, kept)
    torch.library.opcheck(operators.local_attention_double_backward, arguments)


def layer_and_inputs() -> tuple[LocalAttention, tuple[Tensor, ...]]:
    torch.manual_seed(0)
    layer = LocalAttention(32, 2, RADIAL)
    return layer, (torch.randn(9, 32), EDGES["crystal"][2], torch.rand(130, RADIAL))


def test_layer_fused_and_not(assert_agree: Agree) -> None:
    layer, (x, *rest) = layer_and_inputs()
    layer.double()
    x, rest[1] = x.double(), rest[1].double()
    results = []
    for layer.fuse in (True, False):
        x = x.detach().requires_grad_()
        (first,) = grad(layer(x, *rest).sin().sum(), x, create_graph=True)
        results.append([first, *grad(first.square().sum(), [x, *layer.parameters()], allow_unused=True)])
        results[-1] = [value for value in results[-1] if value is not None]
    assert_agree(results[0], results[1], epsilons=1000)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_layer_compiled_as_one_graph(backend: str, assert_agree: Agree) -> None:
    torch._dynamo.reset()
    layer, (x, *rest) = layer_and_inputs()

    def loss(x: Tensor) -> Tensor:
        return layer(x, *rest).sin().sum()

    results = []
    for function in (loss, torch.compile(loss, backend=backend, fullgraph=True)):
        x = x.detach().requires_grad_()
        value = function(x)
        results.append([value.detach(), *grad(value, x)])
    assert_agree(results[1], results[0], epsilons=100)


def test_layer_under_autocast() -> None:
    layer, inputs = layer_and_inputs()
    full = layer(*inputs)
    for layer.fuse in (True, False):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            result = layer(*inputs)
        torch.testing.assert_close(result.float(), full, rtol=0, atol=0.02 * full.abs().max().item())


def test_layer_under_functional_transforms(assert_agree: Agree) -> None:
    layer, (x, *rest) = layer_and_inputs()
    by_transform = torch.func.grad(lambda x: layer(x, *rest).sin().sum())(x)
    x.requires_grad_()
    assert_agree([by_transform], list(grad(layer(x, *rest).sin().sum(), x)), epsilons=100)


def test_layer_with_dropout_drops_shares() -> None:
    layer, inputs = layer_and_inputs()
    layer.dropout = 0.5
    layer.train()
    assert not torch.equal(layer(*inputs), layer(*inputs))
    layer.eval()
    assert torch.equal(layer(*inputs), layer(*inputs))


# Bad input


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("atom", [-1, 9])
def test_bond_of_an_atom_that_does_not_exist(row: int, atom: int) -> None:
    *values, edge_index = random_inputs("crystal")
    edge_index = edge_index.clone()
    edge_index[row, 3] = atom
    with pytest.raises(GraphError, match=f"row {row} of edge_index points to row {atom} of 9"):
        local_attention(*values, edge_index)


def test_inputs_that_do_not_fit_together() -> None:
    query, key, value, own_key, own_value, bias, envelope, edge_index = random_inputs("crystal")
    with pytest.raises(GraphError, match=r"bias is \[129, 2\], but \[130, 2\] fits"):
        local_attention(query, key, value, own_key, own_value, bias[1:], envelope, edge_index)
    with pytest.raises(GraphError, match=r"envelope is \[129\], but \[130\] fits"):
        local_attention(query, key, value, own_key, own_value, bias, envelope[1:], edge_index)
    with pytest.raises(GraphError, match=r"own_key is \[8, 32\], but \[9, 32\] fits"):
        local_attention(query, key, value, own_key[1:], own_value, bias, envelope, edge_index)
    with pytest.raises(GraphError, match="3 heads, which do not divide 32 channels"):
        local_attention(query, key, value, own_key, own_value, bias.repeat(1, 2)[:, :3], envelope, edge_index)
