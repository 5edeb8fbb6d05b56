"""Batches within a budget: complete, reproducible, shared evenly among processes, resumable."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from torch_gptff.training.batching import BudgetSampler, Costs, Share
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
    resumed.first = (0, 13)
    assert list(resumed) == whole[13:]
    resumed.set_epoch(1)
    assert list(resumed) == BudgetSampler(costs, LIMITS).batches(1), "the epoch after the resumed one is whole again"


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
    sampler = BudgetSampler(costs, LIMITS, shares=[Share(torch.arange(300), 40)])
    drawn = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        frames = [frame for batch in sampler for frame in batch]
        assert len(frames) == len(set(frames)) == 40
        drawn.append(set(frames))
    assert drawn[0] != drawn[1]


def test_every_source_has_its_share(costs):
    """A source at 2.5 times its size gives each frame twice and half of them a third time."""
    shares = [Share(torch.arange(20), 50), Share(torch.arange(20, 300), 28)]
    counts = Counter(frame for batch in BudgetSampler(costs, LIMITS, shares=shares) for frame in batch)
    few = [counts[frame] for frame in range(20)]
    assert (min(few), max(few), sum(few)) == (2, 3, 50)
    assert sum(counts[frame] for frame in range(20, 300)) == 28


def test_two_processes_take_the_steps_of_one_that_accumulates(costs):
    shared = [list(BudgetSampler(costs, LIMITS, rank=rank, world_size=2)) for rank in range(2)]
    alone = list(BudgetSampler(costs, replace(LIMITS, accumulate=2)))
    assert [list(step) for step in zip(*shared, strict=True)] == [alone[n : n + 2] for n in range(0, len(alone), 2)]


def test_unshuffled_frames_are_dealt_out_once(costs):
    samplers = [BudgetSampler(costs, LIMITS, shuffle=False, rank=rank, world_size=3) for rank in range(3)]
    frames = [frame for sampler in samplers for batch in sampler for frame in batch]
    assert sorted(frames) == list(range(300))
