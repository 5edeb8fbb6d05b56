"""Attention that carries geometry, bond by bond, on every path; what turns, and what fades at the cutoff."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.autograd import grad

from torch_gptff.nn import GeometricAttention
from torch_gptff.ops.bond_harmonics import bond_harmonics
from torch_gptff.ops.geometric_attention import Spline
from torch_gptff.ops.native import geometric

CUTOFF = 5.0
CASES = [(1, 1, False), (2, 2, True), (3, 2, False), (3, 2, True)]
"""Degree, heads, and whether neighbours have features that turn."""


class Input(NamedTuple):
    """Six neighbours and five centres, of which the last has no bond."""

    x: Tensor
    centres: Tensor
    features: list[Tensor]
    edge_index: Tensor
    vectors: Tensor


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def given(degree: int, turns: bool, channels: int = 32) -> Input:
    centre = torch.tensor([0] * 6 + [1] * 3 + [2] * 7 + [3])
    neighbour = torch.randint(6, (len(centre),), generator=torch.Generator().manual_seed(2))
    features = [normal(6, 2 * l + 1, channels, seed=10 + l) for l in range(1, degree + 1)] if turns else []
    vectors = 1.6 * normal(len(centre), 3, seed=3)
    return Input(
        normal(6, channels, seed=0), normal(5, channels, seed=1), features, torch.stack([neighbour, centre]), vectors
    )


def made(degree: int, heads: int, turns: bool, channels: int = 32) -> GeometricAttention:
    torch.manual_seed(1)
    return GeometricAttention(channels, degree, heads, CUTOFF, 6, turns, num_radial=5).double()


def received(layer: GeometricAttention, data: Input) -> list[Tensor]:
    geometry = bond_harmonics(data.vectors, layer.degree)
    zero, turning, total = layer((data.x, data.centres), data.features, data.edge_index, *geometry)
    return [zero, *turning, total]


def literal(layer: GeometricAttention, data: Input) -> list[Tensor]:
    """The equations of the layer's description, one bond after the other."""
    c, L, width = layer.channels, layer.degree, layer.channels // layer.heads
    lengths, harmonics = bond_harmonics(data.vectors, L)
    radial = layer.radial()
    functions = Spline.at(lengths, radial).of(radial.table)
    zero = data.centres.new_zeros(5, c)
    turning = [zero.new_zeros(5, 2 * l + 1, c) for l in range(1, L + 1)]
    total = zero.new_zeros(5, layer.heads)
    for bond, (j, i) in enumerate(data.edge_index.T.tolist()):
        R_s, R_0, *rest = functions[bond, : sum(layer.radial.parts[:2])].split(c)
        R_l, (R_p, R_v) = rest[:L], (rest[L:] or (None, None))
        biases, envelope = functions[bond, sum(layer.radial.parts[:2]) :][: layer.heads + 1].split([layer.heads, 1])
        query, key = layer.lin_query(data.centres[i]), layer.lin_key(data.x[j])
        value = layer.lin_value(data.x[j])
        for h in range(layer.heads):
            of = slice(h * width, (h + 1) * width)
            score = (query[of] * R_s[of] * key[of]).sum() / math.sqrt(width) + biases[h]
            weight = 2 / (1 + torch.exp(-score))
            total[i, h] += envelope[0] * weight
            zero[i, of] += weight * R_0[of] * value[of]
            start = 0
            for l in range(1, L + 1):
                Y = harmonics[bond, start : start + 2 * l + 1]
                start += 2 * l + 1
                for m in range(2 * l + 1):
                    turning[l - 1][i, m, of] += weight * R_l[l - 1][of] * value[of] * Y[m]
                    if data.features:
                        V = data.features[l - 1][j, m, of]
                        zero[i, of] += weight * R_p[of] * Y[m] * V
                        turning[l - 1][i, m, of] += weight * R_v[of] * V
    return [zero, *turning, total]


@pytest.mark.parametrize(("degree", "heads", "turns"), CASES)
def test_formula(degree: int, heads: int, turns: bool, paths: Callable[..., GeometricAttention]) -> None:
    layer, data = paths(made(degree, heads, turns)), given(degree, turns)
    for found, expected in zip(received(layer, data), literal(layer, data), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)
        assert not found[4].any(), "an atom without bonds receives nothing"


def derivatives(layer: GeometricAttention, data: Input) -> Sequence[Tensor]:
    """Values, gradients by all that is given, and by parameters and inputs those of the forces."""
    inputs = [data.x, data.centres, data.vectors, *data.features]
    inputs = [value.clone().requires_grad_() for value in inputs]
    x, centres, vectors, *features = inputs
    out = received(layer, Input(x, centres, features, data.edge_index, vectors))
    total = sum((value * normal(*value.shape, seed=20 + n)).sin().sum() for n, value in enumerate(out))
    first = grad(total, inputs, create_graph=True)
    loss = sum(each.square().sum() for each in first) + total
    return [*out, *first, *grad(loss, [*inputs, *layer.parameters()])]


@pytest.mark.parametrize(("degree", "heads", "turns"), CASES)
def test_one_by_one_and_fused_agree_to_the_second_derivative(degree: int, heads: int, turns: bool) -> None:
    layer, data = made(degree, heads, turns), given(degree, turns)
    if not geometric.is_available(torch.float64, degree):
        pytest.skip("there is no C++ compiler that makes the native kernels")
    fused = derivatives(layer, data)
    layer.fuse = False
    for found, expected in zip(fused, derivatives(layer, data), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-11 * (1 + expected.abs().max().item()), rtol=0)


@pytest.mark.parametrize(("degree", "heads", "turns"), [(2, 2, True), (3, 2, False)])
def test_gradients_are_slopes(degree: int, heads: int, turns: bool, paths: Callable[..., GeometricAttention]) -> None:
    layer, data = paths(made(degree, heads, turns)), given(degree, turns)

    def function(x: Tensor, centres: Tensor, vectors: Tensor, *features: Tensor) -> tuple[Tensor, ...]:
        return tuple(received(layer, Input(x, centres, list(features), data.edge_index, vectors)))

    inputs = [value.clone().requires_grad_() for value in (data.x, data.centres, data.vectors, *data.features)]
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)


def test_one_tensor_is_a_pair_of_the_same(paths: Callable[..., GeometricAttention]) -> None:
    layer, data = paths(made(2, 2, True)), given(2, True)
    geometry = bond_harmonics(data.vectors, 2)
    zero, turning, total = layer(data.x, data.features, data.edge_index, *geometry)
    pair = layer((data.x, data.x), data.features, data.edge_index, *geometry)
    assert zero.shape == (6, 32)
    for one, other in zip([zero, *turning, total], [pair[0], *pair[1], pair[2]], strict=True):
        assert torch.equal(one, other)


def turned(features: Sequence[Tensor], rotation: Tensor) -> list[Tensor]:
    """Features of degree 1 and more in a crystal that was turned: as harmonics of its bonds are."""
    directions = normal(40, 3, seed=8)
    found, start = [], 0
    before, after = (bond_harmonics(r, len(features))[1] for r in (directions, directions @ rotation.T))
    for each in features:
        of = slice(start, start + each.size(1))
        start += each.size(1)
        found.append(torch.einsum("mn,imc->inc", torch.linalg.lstsq(before[:, of], after[:, of]).solution, each))
    return found


@pytest.mark.parametrize("reflection", [False, True], ids=["turned", "turned and reflected"])
@pytest.mark.parametrize(("degree", "heads", "turns"), CASES)
def test_what_is_received_turns_with_the_crystal(
    degree: int, heads: int, turns: bool, reflection: bool, paths: Callable[..., GeometricAttention]
) -> None:
    layer, data = paths(made(degree, heads, turns)), given(degree, turns)
    rotation = torch.linalg.qr(normal(3, 3, seed=7)).Q
    rotation = rotation * rotation.det() * (-1 if reflection else 1)
    zero, *turning, total = received(layer, data)
    moved = data._replace(vectors=data.vectors @ rotation.T, features=turned(data.features, rotation))
    expected = [zero, *turned(turning, rotation), total]
    for found, wanted in zip(received(layer, moved), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-11, rtol=0)


@pytest.mark.parametrize("turns", [False, True])
def test_a_neighbour_fades_at_the_cutoff(turns: bool, paths: Callable[..., GeometricAttention]) -> None:
    """Value, slope and curvature of all that it gives are zero there, and beyond there is nothing of it."""
    layer = paths(made(2, 2, turns))
    data = given(2, turns)._replace(edge_index=torch.tensor([[3], [1]]))
    shapes = [(5, 32), (5, 3, 32), (5, 5, 32), (5, 2)]
    weight = [normal(*shape, seed=30 + n) for n, shape in enumerate(shapes)]

    def given_at(r: float) -> tuple[Tensor, Tensor, Tensor]:
        length = torch.tensor(r, dtype=torch.float64, requires_grad=True)
        vectors = length * torch.tensor([[0.6, 0.48, 0.64]], dtype=torch.float64)
        out = received(layer, data._replace(vectors=vectors))
        value = sum((a * b).sum() for a, b in zip(out, weight, strict=True))
        (slope,) = grad(value, length, create_graph=True)
        (curvature,) = grad(slope, length)
        return value, slope, curvature

    for at in (CUTOFF + 1e-9, CUTOFF + 0.5):
        assert all(each == 0 for each in given_at(at))
    for each in given_at(CUTOFF):
        assert abs(each) < 1e-12
    for power, each in enumerate(given_at(CUTOFF - 1e-3)):
        assert 0 < abs(each) < 10 * 1e-3 ** (3 - power)


def test_a_bond_is_explained_by_a_mask() -> None:
    """Explainers of PyG weigh messages one by one; one that is masked is a bond that is not there."""
    layer, data = made(2, 2, True).requires_grad_(False), given(2, True)
    mask = torch.ones(data.edge_index.size(1), dtype=torch.float64)
    mask[[2, 9]] = 0
    kept = mask.bool()
    expected = received(layer, data._replace(edge_index=data.edge_index[:, kept], vectors=data.vectors[kept]))
    layer.explain = True
    layer._edge_mask, layer._apply_sigmoid, layer._loop_mask = mask, False, None
    for found, wanted in zip(received(layer, data), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)


def test_reset_parameters_draws_every_weight_by_the_seed() -> None:
    layer = made(2, 2, True)

    def drawn(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        layer.reset_parameters()
        return [weight.clone() for weight in layer.parameters()]

    for first, again, other in zip(drawn(1), drawn(1), drawn(2), strict=True):
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_repr() -> None:
    assert repr(made(2, 2, True)) == "GeometricAttention(32, degree=2, heads=2)"
