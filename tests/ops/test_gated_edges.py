"""The fused atom and bond updates against their formulas, with gradients of first and second order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import grad

from torch_gptff.errors import GraphError
from torch_gptff.nn import AtomConv, BondConv
from torch_gptff.ops import native
from torch_gptff.ops.gated_edges import atom_update, bond_update, can_fuse

pytestmark = pytest.mark.skipif(
    not native.is_available(torch.float32, 32), reason="there is no C++ compiler that makes the native kernels"
)

Agree = Callable[[Sequence[Tensor], Sequence[Tensor], float], None]


def literal_atom_update(a: Tensor, b: Tensor, e: Tensor, weight: Tensor, *parameters: Tensor) -> Tensor:
    w_edge, w_gate, b_gate, edge_index = parameters
    neighbour, centre = edge_index
    v, g = (F.silu(a[centre] + b[neighbour] + e @ w_edge.T) @ w_gate.T + b_gate).chunk(2, dim=-1)
    return a.new_zeros(len(a), e.size(1)).index_add(0, centre, F.silu(v) * g.sigmoid() * weight)


def literal_bond_update(a: Tensor, b: Tensor, e: Tensor, weight: Tensor, *parameters: Tensor) -> Tensor:
    w_edge, w_out, b_out, edge_index = parameters
    neighbour, centre = edge_index
    v, g = (a[centre] + b[neighbour] + e @ w_edge.T).chunk(2, dim=-1)
    return F.silu((F.silu(v) * g.sigmoid()) @ w_out.T + b_out) * weight


@dataclass(frozen=True)
class Update:
    fused: Callable[..., Tensor]
    literal: Callable[..., Tensor]
    out_width: int  # of its second map, in units of d

    def parameters(self, d: int) -> list[Tensor]:
        w = self.out_width
        shapes = ((2 * d, d), (w * d, w * d), (w * d,))
        return [torch.randn(*shape, dtype=torch.float64) / d**0.5 for shape in shapes]


UPDATES = {
    "atom": Update(atom_update, literal_atom_update, 2),
    "bond": Update(bond_update, literal_bond_update, 1),
}


@pytest.fixture(params=UPDATES)
def update(request: pytest.FixtureRequest) -> Update:
    return UPDATES[request.param]


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


def random_inputs(update: Update, edges: str, d: int = 32, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    n_centres, n_neighbours, edge_index = EDGES[edges]
    n_edges = edge_index.size(1)
    shapes = ((n_centres, 2 * d), (n_neighbours, 2 * d), (n_edges, d), (n_edges, d))
    rows = [torch.randn(*shape, dtype=torch.float64) for shape in shapes]
    return [*(value.to(dtype) for value in (*rows, *update.parameters(d))), edge_index]


def leaves(inputs: list[Tensor], n: int = 4) -> list[Tensor]:
    """The first ``n`` of them ask for gradients: rows, and then parameters."""
    return [v.detach().requires_grad_() if k < n else v.detach() for k, v in enumerate(inputs)]


def value_and_gradient(function: Callable[..., Tensor], inputs: list[Tensor], n: int = 4) -> list[Tensor]:
    inputs = leaves(inputs, n)
    out = function(*inputs)
    return [out.detach(), *grad(out.sin().sum(), inputs[:n])]


def second_gradient(function: Callable[..., Tensor], inputs: list[Tensor], n: int = 4) -> list[Tensor]:
    inputs = leaves(inputs, n)
    first = grad(function(*inputs).sin().sum(), inputs[:n], create_graph=True)
    return list(grad(sum(g.square().sum() for g in first), inputs[:n]))


@pytest.mark.parametrize("edges", EDGES)
def test_equals_literal_formula_with_its_gradient(update: Update, edges: str, assert_agree: Agree) -> None:
    inputs = random_inputs(update, edges)
    expected = value_and_gradient(update.literal, inputs)
    assert_agree(value_and_gradient(update.fused, inputs), expected, epsilons=1000)


@pytest.mark.parametrize("d", [32, 64, 96])
def test_float32_is_the_float64_result_to_rounding(update: Update, d: int, assert_agree: Agree) -> None:
    inputs = random_inputs(update, "crystal", d, torch.float32)
    exact = value_and_gradient(update.literal, [*(value.double() for value in inputs[:-1]), inputs[-1]])
    assert_agree(value_and_gradient(update.fused, inputs), exact, epsilons=100)


@pytest.mark.parametrize("n", [4, 7])
def test_second_gradients_and_those_by_parameters(update: Update, n: int, assert_agree: Agree) -> None:
    inputs = random_inputs(update, "crystal")
    for derivative in (value_and_gradient, second_gradient):
        assert_agree(derivative(update.fused, inputs, n), derivative(update.literal, inputs, n), epsilons=1000)


def test_inputs_that_depend_on_each_other(update: Update, assert_agree: Agree) -> None:
    """Gradients by each input are partial derivatives, whatever the inputs were computed from."""
    a, _, e, _, *parameters = random_inputs(update, "crystal")

    def of_two(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda a, e: function(a, a, e, e.sin(), *parameters)

    for derivative in (value_and_gradient, second_gradient):
        actual, expected = (derivative(of_two(f), [a, e], 2) for f in (update.fused, update.literal))
        assert_agree(actual, expected, epsilons=1000)


@pytest.mark.parametrize("edges", ["crystal", "unsorted", "none", "one"])
def test_threads_change_rounding_only_and_the_same_number_nothing(
    update: Update, edges: str, threads: Callable[[int], None], assert_agree: Agree
) -> None:
    inputs = random_inputs(update, edges, 64, torch.float32)
    threads(1)
    serial = value_and_gradient(update.fused, inputs)
    for number in (2, 3, 5):
        threads(number)
        parallel = value_and_gradient(update.fused, inputs)
        assert_agree(parallel, serial, epsilons=100)
        again = value_and_gradient(update.fused, inputs)
        assert all(torch.equal(a, b) for a, b in zip(parallel, again, strict=True))


def test_strided_inputs(update: Update, assert_agree: Agree) -> None:
    inputs = random_inputs(update, "crystal")
    strided = [torch.stack([value, value], dim=-1)[..., 0] for value in inputs]
    strided[0] = inputs[0].T.contiguous().T
    assert_agree(value_and_gradient(update.fused, strided), value_and_gradient(update.fused, inputs), epsilons=0)


def test_nan_stays_where_it_belongs(update: Update) -> None:
    for number in range(4):
        inputs = random_inputs(update, "crystal")
        inputs[number][5] = torch.nan
        results = value_and_gradient(update.fused, inputs), value_and_gradient(update.literal, inputs)
        for actual, expected in zip(*results, strict=True):
            assert torch.equal(actual.isnan().any(dim=1), expected.isnan().any(dim=1))


# Within the rest of PyTorch


def test_operators_keep_their_promises(update: Update) -> None:
    inputs = random_inputs(update, "from more atoms than there are centres")
    name = update.fused.__name__
    torch.library.opcheck(getattr(torch.ops.torch_gptff, name), tuple(leaves(inputs)))
    *values, edge_index = leaves(inputs, 0)
    dout = torch.randn_like(update.fused(*values, edge_index))
    backward = torch.ops.torch_gptff.gated_edges_backward
    torch.library.opcheck(backward, (name, dout, values[:4], values[4:], edge_index))


def conv_and_inputs(conv: type[AtomConv] | type[BondConv]) -> tuple[AtomConv | BondConv, tuple[Tensor, ...]]:
    layer = conv(32, 5)
    layer.requires_grad_(False)
    n_edges = 130
    inputs = (torch.randn(9, 32), EDGES["crystal"][2], torch.randn(n_edges, 32), torch.randn(n_edges, 5))
    return layer, inputs


@pytest.mark.parametrize("conv", [AtomConv, BondConv])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_layer_compiled_as_one_graph(conv: type[AtomConv] | type[BondConv], backend: str, assert_agree: Agree) -> None:
    torch._dynamo.reset()
    layer, (x, *rest) = conv_and_inputs(conv)

    def loss(x: Tensor) -> Tensor:
        return layer(x, *rest).sin().sum()

    results = []
    for function in (loss, torch.compile(loss, backend=backend, fullgraph=True)):
        x = x.detach().requires_grad_()
        value = function(x)
        results.append([value.detach(), *grad(value, x)])
    assert_agree(results[1], results[0], epsilons=100)


@pytest.mark.parametrize("conv", [AtomConv, BondConv])
def test_autocast_reaches_the_maps_outside_only(conv: type[AtomConv] | type[BondConv]) -> None:
    """What comes in as bfloat16 is converted: kernels for another dtype would read past its end."""
    layer, inputs = conv_and_inputs(conv)
    results = []
    for layer.fuse in (True, False):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            results.append(layer(*inputs))
    full = layer(*inputs)
    assert results[0].dtype == torch.float32
    for result in results:
        torch.testing.assert_close(result.float(), full, rtol=0, atol=0.02 * full.abs().max().item())


@pytest.mark.parametrize("conv", [AtomConv, BondConv])
def test_layer_under_functional_transforms(conv: type[AtomConv] | type[BondConv], assert_agree: Agree) -> None:
    layer, (x, *rest) = conv_and_inputs(conv)
    by_transform = torch.func.grad(lambda x: layer(x, *rest).sin().sum())(x)
    x.requires_grad_()
    assert_agree([by_transform], list(grad(layer(x, *rest).sin().sum(), x)), epsilons=100)


def test_fused_only_while_parameters_are_frozen() -> None:
    e, parameter = torch.zeros(3, 32), torch.zeros(2, requires_grad=True)
    assert can_fuse(e, [parameter.detach()])
    assert not can_fuse(e, [parameter])
    with torch.no_grad():
        assert can_fuse(e, [parameter])
    assert not can_fuse(e.bfloat16(), [])
    assert not can_fuse(torch.zeros(3, 16), [])
    assert not can_fuse(torch.zeros(3, 32, device="meta"), [])


# Bad input


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("atom", [-1, 9])
def test_bond_of_an_atom_that_does_not_exist(update: Update, row: int, atom: int) -> None:
    *values, edge_index = random_inputs(update, "crystal")
    edge_index = edge_index.clone()
    edge_index[row, 3] = atom
    with pytest.raises(GraphError, match=f"row {row} of edge_index points to row {atom} of 9"):
        update.fused(*values, edge_index)


def test_inputs_that_do_not_fit_together(update: Update) -> None:
    a, b, e, weight, *parameters = random_inputs(update, "crystal")
    with pytest.raises(GraphError, match=r"weight is \[129, 32\], but \[130, 32\] fits"):
        update.fused(a, b, e, weight[1:], *parameters)
    with pytest.raises(GraphError, match=r"e is \[129, 32\], but \[130, 32\] fits"):
        update.fused(a, b, e[1:], weight, *parameters)
    with pytest.raises(GraphError, match=r"edge_index is torch.int32 \[2, 130\]; it must be int64"):
        update.fused(a, b, e, weight, *parameters[:-1], parameters[-1].int())
