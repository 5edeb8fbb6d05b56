"""The basis of distances and angles beside PyG's, and where PyG's cannot be used."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import eval_legendre, spherical_jn
from torch_geometric.nn.models.dimenet import SphericalBasisLayer

from torch_gptff.nn.spherical_bessel import SphericalBesselBasis, legendre, spherical_bessel


def test_values_are_those_of_pyg():
    ours, theirs = SphericalBesselBasis(4, 3, 4.5, 6), SphericalBasisLayer(4, 3, 4.5, 5)
    r = torch.linspace(0.7, 4.6, 40, dtype=torch.float64)
    angle = torch.linspace(0, math.pi, 25, dtype=torch.float64)
    bond = torch.arange(25) % 40
    torch.testing.assert_close(ours(r, angle.cos(), bond), theirs(r, angle, bond), rtol=1e-6, atol=1e-6)


def test_bessel_and_legendre_functions():
    z = torch.linspace(0.8, 30, 50, dtype=torch.float64)
    found = spherical_bessel(z.view(-1, 1, 1).expand(-1, 7, 2))
    cosine = torch.linspace(-1, 1, 50, dtype=torch.float64)
    harmonics = legendre(cosine, 7)
    for order in range(7):
        np.testing.assert_allclose(found[:, order, 1], spherical_jn(order, z), atol=1e-10)
        expected = math.sqrt((2 * order + 1) / (4 * math.pi)) * eval_legendre(order, cosine)
        np.testing.assert_allclose(harmonics[:, order], expected, atol=1e-14)


def test_it_ends_smoothly_at_the_cutoff():
    basis = SphericalBesselBasis(7, 6, 4.0, 6)
    r = torch.tensor([4.0 - 1e-5, 4.0, 4.5], dtype=torch.float64, requires_grad=True)
    radial = basis.radial(r)
    assert radial.abs().max() < 1e-10
    (slope,) = torch.autograd.grad(radial.abs().sum(), r)
    assert slope.abs().max() < 1e-3


def test_float32_keeps_its_digits_at_short_distances():
    """The terms of high orders cancel to a few millionths of themselves there."""
    basis = SphericalBesselBasis(7, 6, 5.0, 6)
    r = torch.linspace(0.7, 5.0, 100, dtype=torch.float64)
    exact = basis.radial(r)
    assert basis.radial(r.float()).dtype == torch.float32
    torch.testing.assert_close(basis.radial(r.float()).double(), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cosine", [1.0, -1.0])
def test_it_can_be_differentiated_twice_on_a_line(cosine):
    """By the position of an atom on the line, through a cosine of exactly ±1: against finite differences."""
    basis = SphericalBesselBasis(5, 2, 4.0, 6)

    def energy(y: torch.Tensor) -> torch.Tensor:
        first, second = torch.tensor([1.5, 0.0], dtype=y.dtype), torch.stack([y.new_tensor(1.2 * cosine), y])
        r = torch.stack([first.norm(), second.norm()])
        return basis(r, ((first @ second) / r.prod()).view(1), torch.tensor([1])).sum()

    y = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(energy(y), y, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, y)
    step = torch.tensor(1e-4, dtype=torch.float64)
    with torch.no_grad():
        expected = (energy(step) + energy(-step) - 2 * energy(torch.zeros_like(step))) / step**2
    assert slope.item() == pytest.approx(0, abs=1e-12)
    assert curvature.item() == pytest.approx(expected.item(), rel=1e-5)


def test_repr_and_shapes():
    basis = SphericalBesselBasis(3, 2, 4.0, 6)
    assert repr(basis) == "SphericalBesselBasis(num_spherical=3, num_radial=2, cutoff=4.0, exponent=6)"
    none = torch.zeros(0)
    assert basis(none, none, none.long()).shape == (0, 6)
    assert list(basis.state_dict()) == []
