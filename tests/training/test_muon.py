"""The optimizer Muon: against its definition, against torch's, and in a run."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from torch_gptff.models import GPTFF, GPTFFConfig
from torch_gptff.training.muon import Muon, matrices_apart, orthogonal


@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8), (3, 5, 12, 20)])
def test_orthogonal_keeps_the_directions_and_evens_out_the_rest(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, s, vh = torch.linalg.svd(x, full_matrices=False)
    found = u.mT @ orthogonal(x) @ vh.mT  # diagonal in the singular vectors of x
    diagonal = found.diagonal(dim1=-2, dim2=-1)
    assert torch.allclose(found, torch.diag_embed(diagonal), atol=1e-9)
    large = s > 0.05 * s[..., :1]  # five steps do not raise what is next to nothing
    assert diagonal[large].min() > 0.65
    assert diagonal.max() < 1.25


@pytest.mark.parametrize("shape", [(16, 16), (64, 200), (3, 40, 12)])
def test_products_of_bfloat16_find_the_same_directions(shape, monkeypatch):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr("torch_gptff.training.muon.multiplies_bfloat16", lambda device: False)
    exact = orthogonal(x)
    monkeypatch.setattr("torch_gptff.training.muon.multiplies_bfloat16", lambda device: True)
    found = orthogonal(x)
    assert found.dtype == torch.float32
    assert torch.cosine_similarity(found.flatten(), exact.flatten(), dim=0) > 0.999
    assert not torch.equal(found, exact), "the products were not taken in bfloat16"


def test_orthogonal_of_nothing_is_nothing():
    assert orthogonal(torch.zeros(4, 6)).count_nonzero() == 0


def weights(optimizer, parameters, gradients):
    """The parameters after a step for each of the gradients."""
    for step in gradients:
        for p, gradient in zip(parameters, step, strict=True):
            p.grad = gradient.clone()
        optimizer.step()
    return [p.detach().clone() for p in parameters]


@pytest.fixture
def gradients():
    generator = torch.Generator().manual_seed(1)
    return [[torch.randn(12, 30, generator=generator), torch.randn(7, generator=generator)] for _ in range(4)]


def parameters():
    generator = torch.Generator().manual_seed(2)
    return [nn.Parameter(torch.randn(12, 30, generator=generator)), nn.Parameter(torch.randn(7, generator=generator))]


def muon(parameters, **settings):
    matrix, vector = parameters
    groups = [{"params": [matrix], "matrices": True}, {"params": [vector], "matrices": False}]
    return Muon(groups, lr=0.01, weight_decay=0.1, **settings)


def test_what_is_no_matrix_is_adamws(gradients):
    ours, theirs = parameters(), parameters()
    found = weights(muon(ours), ours, gradients)
    expected = weights(torch.optim.AdamW(theirs, lr=0.01, weight_decay=0.1), theirs, gradients)
    assert torch.equal(found[1], expected[1])
    assert not torch.allclose(found[0], expected[0], atol=1e-3)


def test_matrices_move_as_torchs_muon_moves_them(gradients):
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("torch.optim.Muon comes with torch 2.9")
    ours, theirs, start = parameters(), parameters(), parameters()[0].detach()
    (found, _) = weights(muon(ours), ours, gradients)
    reference = torch.optim.Muon(theirs[:1], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    (expected,) = weights(reference, theirs[:1], [step[:1] for step in gradients])
    # Torch iterates in bfloat16, of three digits.
    assert torch.linalg.norm(found - expected) < 0.03 * torch.linalg.norm(expected - start)


def test_the_size_of_the_gradient_does_not_matter(gradients):
    ours, theirs = parameters(), parameters()
    found, _ = weights(muon(ours), ours, gradients)
    larger, _ = weights(muon(theirs), theirs, [[1e4 * gradient for gradient in step] for step in gradients])
    assert torch.allclose(found, larger, atol=1e-6)


def test_gradients_are_there_after_a_step_and_what_has_none_stays():
    matrix, vector = ours = parameters()
    optimizer = muon(ours)
    matrix.grad, before = torch.ones_like(matrix), vector.detach().clone()
    assert optimizer.step(lambda: 3.0) == 3.0
    assert matrix.grad is not None
    assert torch.equal(vector, before)


def test_the_state_goes_there_and_back(gradients):
    whole, halves = parameters(), parameters()
    expected = weights(muon(whole), whole, gradients)
    first = muon(halves)
    weights(first, halves, gradients[:2])
    second = muon(halves)
    second.load_state_dict(first.state_dict())
    for one, other in zip(weights(second, halves, gradients[2:]), expected, strict=True):
        assert torch.equal(one, other)


PAPER = (
    GPTFFConfig.paper,
    {"layers.0.atom.lin_full.weight", "layers.0.transformer.lin1.weight", "readout.fc2.weight"},
    {"embedding.weight", "readout.fc_out.weight", "readout.fc2.bias", "layers.0.norm1.weight"},
)
GEOMETRIC = (
    GPTFFConfig,
    {"layers.0.attention.radial.lin_out.weight", "layers.0.lin_message.0.weight", "readout.fc2.weight"},
    {"embedding.weight", "layers.0.product_weight", "readout.fc_out.weight", "layers.0.norm.weight"},
)


@pytest.mark.parametrize(("make", "some_matrices", "some_others"), [PAPER, GEOMETRIC], ids=["paper", "geometric"])
def test_the_matrices_of_a_model(make, some_matrices, some_others):
    model = GPTFF(make(channels=8, heads=2, feedforward_channels=16, num_layers=1))
    names = {id(p): name for name, p in model.named_parameters()}
    apart = matrices_apart(model, [{"params": list(model.parameters()), "factor": 2.0}])
    matrices, others = ({names[id(p)] for p in group["params"]} for group in apart)
    assert [group["factor"] for group in apart] == [2.0, 2.0]
    assert matrices | others == set(names.values())
    assert some_matrices <= matrices
    assert some_others <= others
