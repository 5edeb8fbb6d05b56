"""Radial functions against what they stand for: spherical Bessel functions that vanish at the cutoff."""

from __future__ import annotations

import math

import pytest
import torch

from torch_gptff.nn import BesselBasis, RadialFeatures

R = torch.linspace(0.4, 5.0, 9, dtype=torch.float64)


def test_bessel_functions_count_from_one():
    basis = BesselBasis(4, 5.0)(R)
    for n in (1, 2, 3, 4):
        expected = [math.sqrt(2 / 5) * math.sin(n * math.pi * r / 5) / r for r in R.tolist()]
        assert basis[:, n - 1].tolist() == pytest.approx(expected, abs=1e-15)


def test_bessel_functions_vanish_at_the_cutoff():
    assert BesselBasis(16, 3.5)(torch.tensor([3.5], dtype=torch.float64)).abs().max() < 1e-14


def test_bessel_functions_are_orthonormal_in_the_sphere():
    """``∫ φ_m φ_n r² dr = δ_mn``, by the trapezoid rule."""
    r = torch.linspace(1e-9, 5.0, 4001, dtype=torch.float64)
    weighted = BesselBasis(6, 5.0)(r) * r.unsqueeze(-1)
    overlap = torch.trapezoid(weighted.unsqueeze(-1) * weighted.unsqueeze(-2), r, dim=0)
    torch.testing.assert_close(overlap, torch.eye(6, dtype=torch.float64), atol=1e-9, rtol=0)


def test_features_are_functions_under_the_envelope_and_the_envelope():
    features = RadialFeatures(6, 5.0, envelope_exponent=6)
    found = features(R)
    assert found.shape == (9, features.num_features)
    u = features.envelope(R)
    torch.testing.assert_close(found[:, :-1], BesselBasis(6, 5.0)(R) * u.unsqueeze(-1))
    torch.testing.assert_close(found[:, -1], u)
    assert found[-1].abs().max() < 1e-15


def test_features_without_an_envelope_end_in_one():
    found = RadialFeatures(6, 5.0, envelope_exponent=None)(R)
    torch.testing.assert_close(found[:, :-1], BesselBasis(6, 5.0)(R))
    assert found[:, -1].eq(1).all()


def test_any_shape_and_dtype():
    assert BesselBasis(4, 5.0)(torch.rand(2, 3)).shape == (2, 3, 4)
    assert BesselBasis(4, 5.0)(torch.rand(2)).dtype == torch.float32
    assert "num_radial=4, cutoff=5.0" in repr(BesselBasis(4, 5.0))
