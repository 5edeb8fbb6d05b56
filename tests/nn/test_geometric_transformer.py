"""A transformer layer on features that turn: its equations, on every path, and what turns with the crystal."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.autograd import grad

from torch_gptff.nn import GeometricAttention, GeometricTransformer
from torch_gptff.ops.bond_harmonics import bond_harmonics
from torch_gptff.ops.native import geometric
from torch_gptff.ops.tensor_product import gaunt, paths

CHANNELS, HEADS, CUTOFF = 32, 2, 5.0
EDGE_INDEX = torch.stack(
    [
        torch.randint(6, (20,), generator=torch.Generator().manual_seed(2)),
        torch.tensor([0] * 6 + [1] * 4 + [2] * 7 + [3] * 3),
    ]
)  # fmt: skip
"""Of six atoms, of which two have no bond."""


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


VECTORS, X = 1.6 * normal(20, 3, seed=3), normal(6, CHANNELS, seed=0)


def stack(degree: int, number: int = 3) -> torch.nn.ModuleList:
    torch.manual_seed(1)
    layers = torch.nn.ModuleList(
        GeometricTransformer(CHANNELS, degree, HEADS, CUTOFF, 6, 24, n == 0, n == number - 1, 5) for n in range(number)
    ).double()
    with torch.no_grad():  # of ones, all paths of a product would look alike
        for n, layer in enumerate(layers):
            layer.product_weight += 0.3 * normal(*layer.product_weight.shape, seed=40 + n)
    return layers


def run(layers: Sequence[GeometricTransformer], x: Tensor, vectors: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
    """Atom features and features that turn, after every layer."""
    features: list[Tensor] = []
    found = []
    for layer in layers:
        geometry = bond_harmonics(vectors, layer.degree)

        def attend(
            attention: GeometricAttention,
            y: Tensor,
            features: Sequence[Tensor],
            geometry: tuple[Tensor, Tensor] = geometry,
        ) -> tuple[Tensor, list[Tensor], Tensor]:
            return attention(y, features, EDGE_INDEX, *geometry)

        x, features = layer(x, features, attend)
        found.append((x, features))
    return found


def literal(layer: GeometricTransformer, x: Tensor, features: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """The equations of the layer's description."""
    y = layer.norm(x)
    out0, out, total = layer.attention(y, features, EDGE_INDEX, *bond_harmonics(VECTORS, layer.degree))
    V = [lin(each) for lin, each in zip(layer.lin_message, out, strict=True)]
    if features:
        V = [old + new for old, new in zip(features, V, strict=True)]
    mean_square = sum(each.square().sum((1, 2)) for each in V) / sum(each[0].numel() for each in V)
    U = [each / torch.sqrt(1 + mean_square)[:, None, None] for each in V]
    Z = [torch.zeros_like(each) for each in V]
    for weight, (a, b, c) in zip(layer.product_weight, paths(layer.degree), strict=True):
        Z[c - 1] += weight * torch.einsum("abc,nad,nbd->ncd", torch.from_numpy(gaunt(a, b, c)), U[a - 1], U[b - 1])
    n = [(u * u).sum(1) for u in U] + [(u * z).sum(1) for u, z in zip(U, Z, strict=True)]
    known = torch.cat([y, out0, *n, layer.TOTAL_SCALE * total], dim=1)
    change = layer.lin2(torch.nn.functional.silu(layer.lin1(known)))
    dx, *gates = change.split(CHANNELS, dim=1)
    if layer.lin_product is None:
        return x + dx, []
    turning = [
        2 * torch.sigmoid(g)[:, None] * v + lin(z) for g, v, lin, z in zip(gates, V, layer.lin_product, Z, strict=True)
    ]
    return x + dx, turning


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_formula(degree: int, native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not native:
        monkeypatch.setattr(geometric, "is_available", lambda dtype, degree: False)
    layers = stack(degree)
    before: tuple[Tensor, list[Tensor]] = (X, [])
    for layer, (x, features) in zip(layers, run(layers, X, VECTORS), strict=True):
        wanted, turning = literal(layer, *before)
        torch.testing.assert_close(x, wanted, atol=1e-12, rtol=1e-12)
        assert len(features) == len(turning)
        for one, other in zip(features, turning, strict=True):
            torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)
        before = (x, features)
    assert before[1] == []


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_kernels_and_formulas_agree_to_the_second_derivative(degree: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if not geometric.is_available(torch.float64, degree):
        pytest.skip("there is no C++ compiler that makes the native kernels")
    layers = stack(degree)

    def derivatives() -> Sequence[Tensor]:
        x, vectors = X.clone().requires_grad_(), VECTORS.clone().requires_grad_()
        out = run(layers, x, vectors)[-1][0]
        first = grad(out.sin().sum(), [x, vectors], create_graph=True)
        loss = sum(each.square().sum() for each in first)
        return [out, *first, *grad(loss, [x, vectors, *layers.parameters()], materialize_grads=True)]

    fused = derivatives()
    for layer in layers:
        layer.attention.fuse = False
    monkeypatch.setattr(geometric, "is_available", lambda dtype, degree: False)
    for found, expected in zip(fused, derivatives(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-11 * (1 + expected.norm().item()), rtol=0)


@pytest.mark.parametrize("reflection", [False, True], ids=["turned", "turned and reflected"])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_features_turn_with_the_crystal(degree: int, reflection: bool) -> None:
    """Those of degree ``l`` as the harmonics of bonds do, atom features not at all."""
    rotation = torch.linalg.qr(normal(3, 3, seed=7)).Q
    rotation = rotation * rotation.det() * (-1 if reflection else 1)
    directions = normal(40, 3, seed=8)
    of_directions = [bond_harmonics(r, degree)[1] for r in (directions, directions @ rotation.T)]
    layers = stack(degree)
    for (x, features), (moved, turned) in zip(
        run(layers, X, VECTORS), run(layers, X, VECTORS @ rotation.T), strict=True
    ):
        torch.testing.assert_close(moved, x, atol=1e-11, rtol=0)
        start = 0
        for each, other in zip(features, turned, strict=True):
            before, after = (values[:, start : start + each.size(1)] for values in of_directions)
            start += each.size(1)
            matrix = torch.linalg.lstsq(before, after).solution
            torch.testing.assert_close(other, torch.einsum("mn,imc->inc", matrix, each), atol=1e-11, rtol=0)


@pytest.mark.parametrize("products", [True, False])
def test_it_tells_apart_what_distances_and_angles_do_not(products: bool) -> None:
    """Four like neighbours on a ring of eight places: of both choices, all distances and all angles between two bonds
    are the same (they are homometric). Products of three features know them apart, in one layer."""
    (layer,) = stack(2, number=1)
    if not products:
        torch.nn.init.zeros_(layer.product_weight)
    x = X[:1].expand(5, -1)
    edge_index = torch.stack([torch.arange(1, 5), torch.zeros(4, dtype=torch.int64)])
    found = []
    for places in ([0, 1, 3, 4], [0, 1, 2, 5]):
        angles = torch.tensor(places, dtype=torch.float64) * (torch.pi / 4)
        geometry = bond_harmonics(2 * torch.stack([angles.cos(), angles.sin(), 0 * angles], dim=1), 2)
        found.append(layer(x, [], lambda attention, y, f, g=geometry: attention(y, f, edge_index, *g))[0][0])
    difference = (found[0] - found[1]).abs().max()
    assert difference > 1e-3 if products else difference < 1e-12


def test_reset_parameters_draws_every_weight_by_the_seed() -> None:
    layer = stack(2)[1]

    def drawn(seed: int) -> dict[str, Tensor]:
        torch.manual_seed(seed)
        layer.reset_parameters()
        return {name: weight.clone() for name, weight in layer.named_parameters()}

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    same = {name for name in first if torch.equal(first[name], other[name])}
    assert same == {"product_weight", "norm.weight", "norm.bias"}
    assert bool((first["product_weight"] == 1).all())
