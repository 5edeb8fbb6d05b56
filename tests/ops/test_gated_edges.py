"""The fused atom and bond updates against their formulas, with gradients of first and second order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import grad

from torch_gptff.errors import GraphError
from torch_gptff.nn import AtomConv, BondConv
from torch_gptff.ops import gated_edges, native
from torch_gptff.ops.gated_edges import atom_update, bond_update, can_fuse

pytestmark = pytest.mark.skipif(
    not native.is_available(torch.float32, 32), reason="there is no C++ compiler that makes the native kernels"
)

Agree = Callable[[Sequence[Tensor], Sequence[Tensor], float], None]
WIDE = pytest.param(96, marks=pytest.mark.slow)  # its kernels are compiled for this test alone


def literal_atom_update(a: Tensor, b: Tensor, e: Tensor, radial: Tensor, *parameters: Tensor) -> Tensor:
    w_radial, w_edge, w_gate, b_gate, edge_index = parameters
    neighbour, centre = edge_index
    v, g = (F.silu(a[centre] + b[neighbour] + e @ w_edge.T) @ w_gate.T + b_gate).chunk(2, dim=-1)
    return a.new_zeros(len(a), e.size(1)).index_add(0, centre, F.silu(v) * g.sigmoid() * (radial @ w_radial.T))


def literal_bond_update(a: Tensor, b: Tensor, e: Tensor, radial: Tensor, *parameters: Tensor) -> Tensor:
    w_radial, w_edge, w_out, b_out, edge_index = parameters
    neighbour, centre = edge_index
    v, g = (a[centre] + b[neighbour] + e @ w_edge.T).chunk(2, dim=-1)
    return e + F.silu((F.silu(v) * g.sigmoid()) @ w_out.T + b_out) * (radial @ w_radial.T)


@dataclass(frozen=True)
class Update:
    fused: Callable[..., Tensor]
    literal: Callable[..., Tensor]
    out_width: int  # of its second map, in units of d

    def parameters(self, d: int, n_radial: int) -> list[Tensor]:
        w = self.out_width
        shapes = ((d, n_radial), (2 * d, d), (w * d, w * d), (w * d,))
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


def random_inputs(
    update: Update, edges: str, d: int = 32, dtype: torch.dtype = torch.float64, n_radial: int = 5
) -> list[Tensor]:
    n_centres, n_neighbours, edge_index = EDGES[edges]
    n_edges = edge_index.size(1)
    shapes = ((n_centres, 2 * d), (n_neighbours, 2 * d), (n_edges, d), (n_edges, n_radial))
    rows = [torch.randn(*shape, dtype=torch.float64) for shape in shapes]
    return [*(value.to(dtype) for value in (*rows, *update.parameters(d, n_radial))), edge_index]


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


@pytest.mark.parametrize("n_radial", [1, 17, 32, 33])
def test_any_number_of_radial_features(update: Update, n_radial: int, assert_agree: Agree) -> None:
    inputs = random_inputs(update, "crystal", n_radial=n_radial)
    for derivative in (value_and_gradient, second_gradient):
        assert_agree(derivative(update.fused, inputs, 8), derivative(update.literal, inputs, 8), epsilons=1000)


@pytest.mark.parametrize("d", [32, 64, WIDE])
def test_float32_is_the_float64_result_to_rounding(update: Update, d: int, assert_agree: Agree) -> None:
    inputs = random_inputs(update, "crystal", d, torch.float32)
    exact = value_and_gradient(update.literal, [*(value.double() for value in inputs[:-1]), inputs[-1]])
    assert_agree(value_and_gradient(update.fused, inputs), exact, epsilons=100)


@pytest.mark.parametrize("n", [4, 8])
def test_second_gradients_and_those_by_parameters(update: Update, n: int, assert_agree: Agree) -> None:
    inputs = random_inputs(update, "crystal")
    for derivative in (value_and_gradient, second_gradient):
        assert_agree(derivative(update.fused, inputs, n), derivative(update.literal, inputs, n), epsilons=1000)


@pytest.mark.parametrize("n", [4, 8])
def test_what_is_kept_for_the_derivatives_changes_nothing(
    update: Update, n: int, assert_agree: Agree, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = random_inputs(update, "crystal")
    results = []
    for keeps in (True, False):
        monkeypatch.setattr(gated_edges, "_is_worth_keeping", lambda values, keeps=keeps: keeps)
        results.append([*value_and_gradient(update.fused, inputs, n), *second_gradient(update.fused, inputs, n)])
    assert_agree(*results, epsilons=10)


def test_gradients_against_differences(update: Update) -> None:
    *values, edge_index = leaves(random_inputs(update, "one"), 8)

    def function(*values: Tensor) -> Tensor:
        return update.fused(*values, edge_index)

    # All directions at once: one by one, the parameters would be thousands.
    torch.autograd.gradcheck(function, values, fast_mode=True)
    torch.autograd.gradgradcheck(function, values, fast_mode=True)


def test_forces_alone_leave_the_gradients_by_parameters_out(update: Update, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    original = native.edges_backward

    def spy(*arguments: Any) -> list[Tensor]:
        asked.append(arguments[-1])
        return original(*arguments)

    monkeypatch.setattr(native, "edges_backward", spy)
    inputs = leaves(random_inputs(update, "crystal"), 8)
    loss = update.fused(*inputs).sin().sum()
    (by_row,) = grad(loss, inputs[0], create_graph=True)
    assert asked == [False]
    (by_parameter,) = grad(loss, inputs[4], retain_graph=True)
    assert asked == [False, True]
    by_row.square().sum().backward()
    assert asked == [False, True, True]
    assert by_parameter.any()
    assert inputs[4].grad.any()


def test_inputs_that_depend_on_each_other(update: Update, assert_agree: Agree) -> None:
    """Gradients by each input are partial derivatives, whatever the inputs were computed from."""
    a, _, e, _, *parameters = random_inputs(update, "crystal")

    def of_two(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda a, e: function(a, a, e, e[:, :5].sin(), *parameters)

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


@pytest.mark.slow
def test_operators_keep_their_promises(update: Update) -> None:
    inputs = random_inputs(update, "from more atoms than there are centres")
    name = update.fused.__name__
    operators = torch.ops.torch_gptff
    for keep in (False, True):
        torch.library.opcheck(getattr(operators, name), (*leaves(inputs, 8), keep))
        *values, edge_index = leaves(inputs, 0)
        out, kept = getattr(operators, name)(*values, edge_index, keep)
        dout, t = torch.randn_like(out), [torch.randn_like(value) for value in values]
        x = leaves(values, 8)
        for with_parameters in (False, True):
            arguments = (name, dout.requires_grad_(), x, edge_index, kept, with_parameters)
            torch.library.opcheck(operators.gated_edges_backward, arguments)
            arguments = (name, t, dout.detach(), values, edge_index, kept, with_parameters)
            torch.library.opcheck(operators.gated_edges_double_backward, arguments)


def conv_and_inputs(conv: type[AtomConv] | type[BondConv]) -> tuple[AtomConv | BondConv, tuple[Tensor, ...]]:
    layer = conv(32, 5)
    layer.requires_grad_(False)
    n_edges = 130
    inputs = (torch.randn(9, 32), EDGES["crystal"][2], torch.randn(n_edges, 32), torch.randn(n_edges, 5))
    return layer, inputs


@pytest.mark.parametrize("conv", [AtomConv, BondConv])
def test_layer_compiled_as_one_graph(conv: type[AtomConv] | type[BondConv], assert_agree: Agree) -> None:
    torch._dynamo.reset()
    layer, (x, *rest) = conv_and_inputs(conv)

    def loss(x: Tensor) -> Tensor:
        return layer(x, *rest).sin().sum()

    results = []
    for function in (loss, torch.compile(loss, backend="aot_eager", fullgraph=True)):
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


def test_fused_where_there_are_kernels() -> None:
    assert can_fuse(torch.zeros(3, 32))
    assert not can_fuse(torch.zeros(3, 32).bfloat16())
    assert not can_fuse(torch.zeros(3, 16))
    assert not can_fuse(torch.zeros(3, 32, device="meta"))


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
    a, b, e, radial, *parameters = random_inputs(update, "crystal")
    with pytest.raises(GraphError, match=r"radial is \[129, 5\], but \[130, 5\] fits"):
        update.fused(a, b, e, radial[1:], *parameters)
    with pytest.raises(GraphError, match=r"w_radial is \[32, 5\], but \[32, 4\] fits"):
        update.fused(a, b, e, radial[:, 1:], *parameters)
    with pytest.raises(GraphError, match=r"e is \[129, 32\], but \[130, 32\] fits"):
        update.fused(a, b, e[1:], radial, *parameters)
    with pytest.raises(GraphError, match=r"edge_index is torch.int32 \[2, 130\]; it must be int64"):
        update.fused(a, b, e, radial, *parameters[:-1], parameters[-1].int())
