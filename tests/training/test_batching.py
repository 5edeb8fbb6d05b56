"""Batches within a budget: complete, reproducible, shared evenly among processes, resumable."""

from __future__ import annotations

import pytest
import torch

from torch_gptff.training.batching import BudgetSampler, Costs
from torch_gptff.training.config import BatchSettings

LIMITS = BatchSettings(max_frames=8, max_bonds=1000, max_angles=5000)


@pytest.fixture
def costs() -> Costs:
    generator = torch.Generator().manual_seed(3)
    bonds = torch.randint(10, 600, (300,), generator=generator)
    bonds[17] = 5000  # above the budget by itself
    return Costs(bonds, bonds * torch.randint(1, 9, (300,), generator=generator))


def test_every_frame_once_and_within_the_budget(costs):
    sampler = BudgetSampler(costs, LIMITS)
    batches = list(sampler)
    assert sorted(frame for batch in batches for frame in batch) == list(range(300))
    assert len(batches) == len(sampler)
    for batch in batches:
        assert len(batch) <= LIMITS.max_frames
        within = costs.bonds[batch].sum() <= LIMITS.max_bonds and costs.angles[batch].sum() <= LIMITS.max_angles
        assert within or len(batch) == 1


def test_order_depends_on_seed_and_epoch_alone(costs):
    first, same, other = (BudgetSampler(costs, LIMITS, seed=seed) for seed in (1, 1, 2))
    assert list(first) == list(same)
    assert list(first) != list(other)
    first.set_epoch(1)
    assert list(first) != list(same)


def test_unshuffled_frames_come_in_order(costs):
    assert [frame for batch in BudgetSampler(costs, LIMITS, shuffle=False) for frame in batch] == list(range(300))


def test_resumes_in_the_middle_of_an_epoch(costs):
    whole = list(BudgetSampler(costs, LIMITS))
    resumed = BudgetSampler(costs, LIMITS)
    resumed.start = 13
    assert list(resumed) == whole[13:]
    assert list(resumed) == whole, "the epoch after the resumed one is whole again"


@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_processes_share_evenly(costs, world_size):
    costs.bonds[17] = costs.angles[17] = 100  # nothing can be even about a frame above the budget
    samplers = [BudgetSampler(costs, LIMITS, rank=rank, world_size=world_size) for rank in range(world_size)]
    shares = [list(sampler) for sampler in samplers]
    assert {len(share) for share in shares} == {len(samplers[0])}
    assert {frame for share in shares for batch in share for frame in batch} == set(range(300))
    cost = costs.bonds + costs.angles
    rounds = [sorted(int(cost[batch].sum()) for batch in step) for step in zip(*shares, strict=True)]
    waiting = sum(step[-1] - step[0] for step in rounds) / sum(step[-1] for step in rounds)
    assert waiting < 0.1, "what a process waits for the slowest, of all the time"


def test_draws_are_fresh_and_without_replacement(costs):
    sampler = BudgetSampler(costs, LIMITS, frames_per_epoch=40)
    drawn = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        frames = [frame for batch in sampler for frame in batch]
        assert len(frames) == len(set(frames)) == 40
        drawn.append(set(frames))
    assert drawn[0] != drawn[1]


def test_weights_set_the_shares(costs):
    weights = torch.ones(300)
    weights[:30] = 20.0
    sampler = BudgetSampler(costs, LIMITS, frames_per_epoch=10, weights=weights)
    heavy = 0
    for epoch in range(100):
        sampler.set_epoch(epoch)
        heavy += sum(frame < 30 for batch in sampler for frame in batch)
    # 30 frames of weight 20 against 270 of weight 1; a little less than 600/870 for want of replacement.
    assert heavy / 1000 == pytest.approx(0.67, abs=0.05)
