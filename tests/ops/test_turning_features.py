"""Operators of features that turn with the crystal: kernels against formulas, to the second derivative, and e3nn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.autograd import grad, gradcheck, gradgradcheck

from torch_gptff.errors import GraphError
from torch_gptff.ops import bond_harmonics as harmonics_module
from torch_gptff.ops import geometric_attention as attention_module
from torch_gptff.ops import operator
from torch_gptff.ops import tensor_product as product_module
from torch_gptff.ops.bond_harmonics import bond_harmonics
from torch_gptff.ops.geometric_attention import Neighbours, Radial, Spline, columns, geometric_attention
from torch_gptff.ops.native import geometric
from torch_gptff.ops.tensor_product import gaunt, paths, tensor_product, terms

Agree = Callable[[Sequence[Tensor], Sequence[Tensor], float], None]
DEGREES = (2, 3)
CUTOFF = 6.0


class Case(NamedTuple):
    """Kernels with inputs for them."""

    kernels: Any
    x: list[Tensor]
    fixed: Any


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def bonds(n_bonds: int = 60, n_neighbours: int = 9, n_centres: int = 7) -> Tensor:
    """Random bonds; the last centre has none."""
    generator = torch.Generator().manual_seed(3)
    centre = torch.randint(0, n_centres - 1, (n_bonds,), generator=generator).sort().values
    return torch.stack([torch.randint(0, n_neighbours, (n_bonds,), generator=generator), centre])


def attention_case(degree: int, turns: bool, dtype: torch.dtype, channels: int = 32, heads: int = 2) -> Case:
    edge_index, rows = bonds(), 20
    _, width = columns(channels, degree, heads, turns)
    lengths = CUTOFF * torch.rand(60, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    lengths[7] = CUTOFF + 0.3  # no bond, and yet in the list
    x = [
        normal(7, channels, seed=0),
        normal(9, channels, seed=1),
        normal(9, channels, seed=2),
        lengths,
        normal(60, (degree + 1) ** 2 - 1, seed=5),
        *(normal(9, 2 * l + 1, channels, seed=5 + l) for l in range(1, degree + 1) if turns),
        0.3 * normal(rows, width, seed=9),
    ]
    fixed = attention_module._Fixed(edge_index, heads, degree, (rows - 3) / CUTOFF)
    return Case(attention_module._KERNELS, [value.to(dtype) for value in x], fixed)


def product_case(degree: int, dtype: torch.dtype, channels: int = 32) -> Case:
    features = [normal(7, 2 * l + 1, channels, seed=l, dtype=dtype) for l in range(1, degree + 1)]
    return Case(product_module._KERNELS, [*features, normal(len(paths(degree)), channels, seed=9, dtype=dtype)], None)


CASES = {
    **{f"harmonics {l}": lambda dtype, l=l: Case(harmonics_module._KERNELS, [normal(20, 3, seed=0, dtype=dtype)], l)
       for l in DEGREES},
    **{f"product {l}": lambda dtype, l=l: product_case(l, dtype) for l in DEGREES},
    **{f"attention {l}, {'turning' if turns else 'first'}":
           lambda dtype, l=l, turns=turns: attention_case(l, turns, dtype)
       for l in DEGREES for turns in (False, True)},
    "attention, 4 heads of 16": lambda dtype: attention_case(3, True, dtype, channels=64, heads=4),
}  # fmt: skip


def derivatives(function: Callable[[Sequence[Tensor]], Sequence[Tensor]], case: Case) -> list[Tensor]:
    """Values, the gradient of a product with random numbers, and the gradient of that, by everything there is."""
    x = [value.clone().requires_grad_() for value in case.x]
    out = function(x)
    dout = [normal(*value.shape, seed=20 + n, dtype=value.dtype).requires_grad_() for n, value in enumerate(out)]
    rows = x[: len(x) - case.kernels.n_parameters]
    first = grad(out, rows, dout, create_graph=True)
    of_forces = sum((a * normal(*a.shape, seed=40 + n, dtype=a.dtype)).sum() for n, a in enumerate(first))
    of_energy = sum(value.square().sum() for value in out)
    return [*out, *first, *grad(of_forces + of_energy, [*x, *dout], materialize_grads=True)]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_kernels_are_the_formula_to_the_second_derivative(
    name: str, dtype: torch.dtype, assert_agree: Agree, threads: Callable[[int], None]
) -> None:
    case = CASES[name](dtype)
    if not geometric.is_available(dtype, 3):
        pytest.skip("there is no C++ compiler that makes the native kernels")
    expected = derivatives(lambda x: case.kernels.plain(x, case.fixed), CASES[name](torch.float64))
    for number in (1, 3):
        threads(number)
        found = derivatives(lambda x: operator.apply(case.kernels, x, case.fixed), case)
        assert_agree(found, expected, 200)


def test_a_gradient_by_parameters_can_be_differentiated_too(assert_agree: Agree) -> None:
    case = attention_case(2, True, torch.float64)

    def moved(function: Callable[[Sequence[Tensor]], Sequence[Tensor]]) -> tuple[Tensor, ...]:
        x = [value.clone().requires_grad_() for value in case.x]
        out = function(x)
        by_all = grad(sum(value.sin().sum() for value in out), x, create_graph=True)
        return grad(sum(each.square().sum() for each in by_all), x)

    assert_agree(
        moved(lambda x: operator.apply(case.kernels, x, case.fixed)),
        moved(lambda x: case.kernels.plain(x, case.fixed)),
        1000,
    )


def test_third_derivatives_are_there(assert_agree: Agree) -> None:
    case = product_case(2, torch.float64)

    def third(function: Callable[[Sequence[Tensor]], Sequence[Tensor]]) -> tuple[Tensor, ...]:
        x = [value.clone().requires_grad_() for value in case.x]
        total = sum(value.sin().sum() for value in function(x))
        for _ in range(2):
            total = sum(each.square().sum() for each in grad(total, x[:2], create_graph=True))
        return grad(total, x[:2])

    assert_agree(
        third(lambda x: operator.apply(case.kernels, x, None)), third(lambda x: case.kernels.plain(x, None)), 1000
    )


@pytest.mark.parametrize("name", ["harmonics 3", "product 3", "attention 2, turning"])
def test_formulas_are_differentiated_rightly(name: str) -> None:
    if name.startswith("attention"):
        case = attention_case(2, True, torch.float64, channels=4, heads=2)
    else:
        case = (
            CASES[name](torch.float64) if name.startswith("harmonics") else product_case(3, torch.float64, channels=2)
        )
    x = [value.requires_grad_() for value in case.x]
    assert gradcheck(lambda *x: case.kernels.plain(x, case.fixed), x, fast_mode=True)
    assert gradgradcheck(lambda *x: case.kernels.plain(x, case.fixed), x, fast_mode=True)


@pytest.mark.parametrize("degree", DEGREES)
def test_harmonics_are_those_of_e3nn(degree: int) -> None:
    o3 = pytest.importorskip("e3nn.o3")
    vectors = normal(50, 3, seed=0)
    lengths, harmonics = bond_harmonics(vectors, degree)
    torch.testing.assert_close(lengths, vectors.norm(dim=-1))
    start = 0
    for l in range(1, degree + 1):
        ours = harmonics[:, start : start + 2 * l + 1]
        theirs = o3.spherical_harmonics(l, vectors, normalize=True, normalization="component")
        # Of one degree, up to the order and sign of components: products of any two directions agree.
        torch.testing.assert_close(ours @ ours.T, theirs @ theirs.T)
        start += 2 * l + 1


@pytest.mark.parametrize("degree", DEGREES)
def test_products_couple_as_clebsch_and_gordan_have_it(degree: int) -> None:
    """Products of harmonics of one direction are harmonics of that direction, with e3nn's factors."""
    o3 = pytest.importorskip("e3nn.o3")
    harmonics = bond_harmonics(normal(1, 3, seed=0), degree)[1][0]
    of_degree = dict(enumerate(harmonics.split([2 * l + 1 for l in range(1, degree + 1)]), start=1))
    for a, b, c in paths(degree):
        found = torch.einsum("ijk,i,j->k", torch.from_numpy(gaunt(a, b, c)), of_degree[a], of_degree[b])
        zero = o3.wigner_3j(a, b, c, dtype=torch.float64)[a, b, c]  # all m = 0
        factor = abs(float(zero)) * ((2 * a + 1) * (2 * b + 1)) ** 0.5
        torch.testing.assert_close(found, found.new_tensor(factor) * of_degree[c])


def test_terms_are_the_products_of_every_path() -> None:
    assert sum(t.coefficient**2 * (0.5 if t.first != t.second and _degree(t.first) == _degree(t.second) else 1)
               for t in terms(3)) == pytest.approx(sum(2 * c + 1 for _, _, c in paths(3)))  # fmt: skip


def _degree(component: int) -> int:
    return 1 if component < 3 else 2 if component < 8 else 3


@pytest.mark.parametrize("native", [True, False])
def test_features_turn_with_the_crystal(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariants stay, and lengths of what turns stay, also under reflection."""
    if not native:
        monkeypatch.setattr(geometric, "is_available", lambda *_: False)
    degree, channels, heads = 3, 32, 2
    vectors, edge_index = normal(60, 3, seed=0), bonds()
    case = attention_case(degree, False, torch.float64)
    query, key, value = case.x[:3]
    radial = Radial(case.x[-1], case.fixed.per_angstrom)
    for turn in (torch.linalg.qr(normal(3, 3, seed=7)).Q, -torch.eye(3, dtype=torch.float64)):
        found = []
        for r in (vectors, vectors @ turn.T):
            lengths, harmonics = bond_harmonics(r, degree)
            zero, turning, total = geometric_attention(
                query, Neighbours(key, value, []), lengths, harmonics, radial, edge_index, heads
            )
            invariants, z = tensor_product(turning, normal(len(paths(degree)), channels, seed=1))
            found.append([zero, total, invariants, *(each.square().sum(1) for each in (*turning, *z))])
        for a, b in zip(*found, strict=True):
            torch.testing.assert_close(a, b)


def test_a_spline_is_smooth() -> None:
    """Value, slope and curvature of a cubic B-spline do not jump at a knot, and it adds up to 1."""
    table = torch.cat([normal(20, 3, seed=0), torch.ones(20, 1, dtype=torch.float64)], dim=1)
    knots = torch.arange(1, 17, dtype=torch.float64) * (CUTOFF / 17)
    sides = [knots - 1e-9, knots + 1e-9]
    derivatives: list[list[Tensor]] = []
    for r in sides:
        r = r.requires_grad_()
        values = Spline.at(r, Radial(table, 17 / CUTOFF)).of(table)
        (slope,) = grad(values[:, 0].sum(), r, create_graph=True)
        (curvature,) = grad(slope.sum(), r)
        derivatives.append([values, slope, curvature])
        torch.testing.assert_close(values[:, 3], torch.ones(16, dtype=torch.float64))
    for below, above in zip(*derivatives, strict=True):
        torch.testing.assert_close(below, above, rtol=1e-6, atol=1e-6)


def test_bonds_in_no_order_are_refused() -> None:
    case = attention_case(2, False, torch.float64)
    query, key, value, lengths, harmonics, table = case.x
    radial = Radial(table, case.fixed.per_angstrom)
    if not geometric.is_available(torch.float64, 2):
        pytest.skip("there is no C++ compiler that makes the native kernels")
    for edge_index, words in ((bonds().flip(1), "ascend"), (bonds() + 1, "points to")):
        with pytest.raises(GraphError, match=words):
            geometric_attention(query, Neighbours(key, value, []), lengths, harmonics, radial, edge_index, 2)
