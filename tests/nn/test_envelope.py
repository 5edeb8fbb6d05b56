"""Envelopes: one at the atom, and nothing at the cutoff, with two derivatives."""

from __future__ import annotations

import pytest
import torch

from torch_gptff.nn import NoEnvelope, PolynomialEnvelope, make_envelope


def derivatives(envelope: torch.nn.Module, at: float) -> list[float]:
    """The value and the first two derivatives."""
    r = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    value = envelope(r)
    (first,) = torch.autograd.grad(value, r, create_graph=True)
    (second,) = torch.autograd.grad(first, r, create_graph=True)
    return [value.item(), first.item(), second.item()]


@pytest.mark.parametrize("exponent", [2, 5, 6])
@pytest.mark.parametrize("cutoff", [3.5, 5.0])
def test_value_and_two_derivatives_vanish_at_the_cutoff(exponent, cutoff):
    just_inside = cutoff * (1 - 1e-15)
    assert derivatives(PolynomialEnvelope(exponent, cutoff), just_inside) == pytest.approx([0, 0, 0], abs=1e-11)


@pytest.mark.parametrize("exponent", [3, 6])
def test_one_and_flat_at_the_atom(exponent):
    assert derivatives(PolynomialEnvelope(exponent, 5.0), 0.0) == [1, 0, 0]


def test_falls_from_one_to_zero_and_stays():
    r = torch.linspace(0, 7, 141, dtype=torch.float64)
    u = PolynomialEnvelope(6, 5.0)(r)
    assert u.diff().le(1e-15).all()
    assert u[r < 4.999].gt(0).all()
    assert u[r > 5].abs().max() < 1e-15


def test_formula():
    """Equation 8 of DimeNet's paper, written out for p = 6."""
    x = torch.linspace(0, 1, 11, dtype=torch.float64)
    expected = 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
    torch.testing.assert_close(PolynomialEnvelope(6, 5.0)(5 * x), expected, atol=1e-14, rtol=0)


@pytest.mark.parametrize("exponent", [2, 6, 9])
def test_float32_next_to_the_cutoff(exponent):
    """It neither falls below zero there nor loses its digits, as the powers of x do where they cancel."""
    r = 5 * (1 - torch.logspace(-7, -1, 500, dtype=torch.float64)).float()
    envelope = PolynomialEnvelope(exponent, 5.0)
    u, exact = envelope(r), envelope.double()(r.double())
    assert u.min() >= 0
    distance = 1 - r.double() / 5  # known to 1e-7 in float32
    assert ((u.double() / exact - 1).abs() <= 1e-5 + 4e-7 / distance).all()


def test_make_envelope():
    assert isinstance(make_envelope(None, 5.0), NoEnvelope)
    assert make_envelope(None, 5.0)(torch.tensor([1.0, 6.0])).tolist() == [1, 1]
    assert repr(make_envelope(6, 5.0)) == "PolynomialEnvelope(exponent=6, cutoff=5.0)"
