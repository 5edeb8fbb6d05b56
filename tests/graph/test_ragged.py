"""Rows of different lengths, against Python's own ranges."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torch_gptff.graph.ragged import chunks, ragged_range

counts = st.lists(st.integers(0, 5), max_size=12)
quickly = settings(deadline=None, derandomize=True, max_examples=60)


@quickly
@given(counts, st.integers(0, 7))
def test_ragged_range(sizes, start):
    first = torch.arange(len(sizes)) * 10 + start
    row, number = ragged_range(torch.tensor(sizes, dtype=torch.int64), first)
    assert row.tolist() == [r for r, size in enumerate(sizes) for _ in range(size)]
    assert number.tolist() == [int(first[r]) + k for r, size in enumerate(sizes) for k in range(size)]
    _, rank = ragged_range(torch.tensor(sizes, dtype=torch.int64))
    assert rank.tolist() == [k for size in sizes for k in range(size)]


@quickly
@given(counts, st.integers(1, 9))
def test_chunks_are_all_rows_in_order_and_small(cost, limit):
    pieces = chunks(torch.tensor(cost, dtype=torch.int64), limit)
    assert [row for piece in pieces for row in piece.tolist()] == list(range(len(cost)))
    for piece in pieces:
        assert sum(cost[row] for row in piece.tolist()[:-1]) <= limit
