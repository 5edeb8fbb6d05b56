"""The angle update through spherical harmonics against the sum over angles that it stands for."""

from __future__ import annotations

import pytest
import torch
from ase.build import bulk
from torch.nn.functional import normalize

from torch_gptff.graph.angles import angle_pairs
from torch_gptff.graph.convert import from_ase
from torch_gptff.models import GPTFF, GPTFFConfig
from torch_gptff.nn import HarmonicAngleConv, RadialFeatures, legendre_sums, spherical_harmonics
from torch_gptff.ops.harmonics import closed_forms


@pytest.fixture
def bonds() -> dict[str, torch.Tensor]:
    """26 bonds of 6 centres: one has a single bond, one has none."""
    centre = torch.tensor([0] * 7 + [1] * 12 + [3] + [4] * 2 + [5] * 4)
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(len(centre), 3, generator=generator, dtype=torch.float64)
    return {
        "centre": centre,
        "neighbour": torch.randint(6, (len(centre),), generator=generator),
        "direction": normalize(vectors, dim=-1),
        "q": torch.randn(len(centre), 5, generator=generator, dtype=torch.float64),
    }


def explicit_legendre_sums(q, direction, centre, degree):
    first, second = angle_pairs(centre, torch.zeros(len(centre)), 1.0)
    cosine = (direction[first] * direction[second]).sum(dim=-1, keepdim=True)
    polynomials = [torch.ones_like(cosine), cosine, (3 * cosine**2 - 1) / 2, (5 * cosine**3 - 3 * cosine) / 2]
    sums = [torch.zeros_like(q).index_add(0, first, q[second] * p) for p in polynomials[: degree + 1]]
    return torch.cat(sums, dim=-1)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_sums_equal_the_explicit_sum_over_angles(bonds, degree):
    del bonds["neighbour"]
    sums = legendre_sums(**bonds, n_atoms=6, degree=degree)
    expected = explicit_legendre_sums(bonds["q"], bonds["direction"], bonds["centre"], degree)
    torch.testing.assert_close(sums, expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize("with_e3nn", [True, False])
def test_addition_theorem(bonds, with_e3nn, monkeypatch):
    if with_e3nn:
        pytest.importorskip("e3nn", reason="e3nn is not installed")
    monkeypatch.setattr("torch_gptff.ops.harmonics._has_e3nn", lambda: with_e3nn)
    u = bonds["direction"]
    cosine = u @ u.T
    y = spherical_harmonics(u, 3)
    legendre = [torch.ones_like(cosine), cosine, (3 * cosine**2 - 1) / 2, (5 * cosine**3 - 3 * cosine) / 2]
    for degree, expected in enumerate(legendre):
        of_degree = y[:, degree**2 : (degree + 1) ** 2]
        torch.testing.assert_close(of_degree @ of_degree.T, expected, atol=1e-13, rtol=0)


def test_closed_forms_are_as_many_as_the_degrees_have(bonds):
    assert closed_forms(bonds["direction"]).shape == (26, 16)


def test_layer_is_twice_differentiable(bonds):
    layer = HarmonicAngleConv(channels=4, num_radial=4).double()
    features = RadialFeatures(3, 5.0, 6)
    edge_index = torch.stack([bonds["neighbour"], bonds["centre"]])
    x, e = torch.randn(6, 4, dtype=torch.float64), torch.randn(26, 4, dtype=torch.float64)

    def update(vectors):
        lengths = vectors.norm(dim=-1)
        return layer(x, edge_index, e, features(lengths), vectors / lengths.unsqueeze(-1)).sum(dim=0)

    vectors = (bonds["direction"] * torch.linspace(1.5, 4.5, 26, dtype=torch.float64).unsqueeze(-1)).requires_grad_()
    assert torch.autograd.gradcheck(update, vectors)
    assert torch.autograd.gradgradcheck(update, vectors)


def test_a_bond_without_a_third_atom_is_left_alone(bonds):
    layer = HarmonicAngleConv(channels=4, num_radial=4).double()
    edge_index = torch.stack([bonds["neighbour"], bonds["centre"]])
    x, e = torch.randn(6, 4, dtype=torch.float64), torch.randn(26, 4, dtype=torch.float64)
    update = layer(x, edge_index, e, torch.rand(26, 4, dtype=torch.float64), bonds["direction"])
    alone = bonds["centre"] == 3
    torch.testing.assert_close(update[alone], torch.zeros(1, 4, dtype=torch.float64), atol=1e-14, rtol=0)
    assert bool((update[~alone].abs() > 1e-6).any())


def test_model_needs_no_angles():
    atoms = bulk("Ti") * (2, 2, 1)
    atoms.rattle(0.1, seed=0)
    model = GPTFF(GPTFFConfig.paper(channels=8, num_layers=1, angle_update="harmonic", angle_cutoff=5.0))
    graph = model.build_graph(from_ase(atoms))
    assert graph.get("angle_index") is None
    assert model.angle_cutoff is None
