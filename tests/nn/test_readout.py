"""Readouts: a sum of atomic energies, and a function of a sum."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import silu

from torch_gptff.nn import AtomwiseReadout, PooledReadout, sum_by_structure

BATCH = torch.tensor([0, 0, 2, 2, 2])  # structure 1 has no atom


def mlp(readout, x):
    for linear in (readout.fc1, readout.fc2):
        x = silu(linear.weight @ x + linear.bias)
    return readout.fc_out.weight[0] @ x + readout.fc_out.bias[0]


def test_atomwise_is_the_sum_of_the_networks():
    readout = AtomwiseReadout(4).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    atomic = [mlp(readout, row) for row in x]
    expected = torch.stack([atomic[0] + atomic[1], torch.zeros(()).double(), atomic[2] + atomic[3] + atomic[4]])
    torch.testing.assert_close(readout(x, BATCH, 3), expected, atol=1e-14, rtol=0)


def test_pooled_is_the_network_of_the_sum():
    readout = PooledReadout(4).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    expected = torch.stack([mlp(readout, rows) for rows in (x[0] + x[1], torch.zeros(4).double(), x[2] + x[3] + x[4])])
    torch.testing.assert_close(readout(x, BATCH, 3), expected, atol=1e-14, rtol=0)


@pytest.mark.parametrize("readout", [AtomwiseReadout(4), PooledReadout(4)])
def test_float64_out_of_float32(readout):
    assert readout(torch.randn(5, 4), BATCH, 3).dtype == torch.float64
    before = [parameter.clone() for parameter in readout.parameters()]
    readout.reset_parameters()
    assert not any(torch.equal(*both) for both in zip(before, readout.parameters(), strict=True))


def test_sums_of_many_float32_terms_lose_nothing():
    values = torch.full((100_000,), 0.1)
    total = sum_by_structure(values, torch.zeros(100_000, dtype=torch.int64), 1)
    assert total.item() == pytest.approx(100_000 * values[0].item(), rel=1e-12)


def test_sums_keep_further_dimensions():
    values = torch.arange(10.0).view(5, 2)
    assert sum_by_structure(values, BATCH, 3).tolist() == [[2, 4], [0, 0], [18, 21]]


def test_one_readout_has_the_weights_it_always_had():
    names = [f"{linear}.{kind}" for linear in ("fc1", "fc2", "fc_out") for kind in ("weight", "bias")]
    assert list(AtomwiseReadout(4).state_dict()) == names


def test_a_committee_is_the_mean_of_its_members():
    readout = AtomwiseReadout(4, num_readouts=3).double().eval()
    x = torch.randn(5, 4, dtype=torch.float64)
    alone = torch.stack([one.mlp(x) for one in (readout, *readout.others)], dim=1)
    torch.testing.assert_close(readout.members(x), alone, atol=0, rtol=0)
    torch.testing.assert_close(readout.atomic_energies(x, BATCH, 3), alone.mean(1), atol=1e-14, rtol=0)
    torch.testing.assert_close(readout(x, BATCH, 3), sum_by_structure(alone.mean(1), BATCH, 3), atol=1e-14, rtol=0)
    assert alone.std(1).min() > 0


def test_in_training_a_structure_is_given_to_one_member():
    readout = AtomwiseReadout(4, num_readouts=3).double().train()
    x = torch.randn(5, 4, dtype=torch.float64)
    by_member = sum_by_structure(readout.members(x), BATCH, 3)
    seen = set()
    for _ in range(60):
        energies = readout(x, BATCH, 3)
        match = (energies.unsqueeze(1) - by_member).abs() < 1e-14
        assert match[[0, 2]].sum(1).tolist() == [1, 1]
        seen.add(tuple(match[[0, 2]].int().argmax(1).tolist()))
    assert len(seen) == 9  # each structure by itself


def test_a_committee_starts_anew_with_all_its_members():
    readout = AtomwiseReadout(4, num_readouts=2)
    before = [parameter.clone() for parameter in readout.parameters()]
    readout.reset_parameters()
    assert not any(torch.equal(*both) for both in zip(before, readout.parameters(), strict=True))
