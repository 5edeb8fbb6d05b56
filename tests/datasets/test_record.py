"""Frames as bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torch_gptff.datasets.record import decode, encode
from torch_gptff.errors import CorruptDatasetError, DatasetError
from torch_gptff.graph import BondAngles, CrystalData, PeriodicRadiusGraph


def same(one: CrystalData, other: CrystalData) -> bool:
    assert set(one.keys()) == set(other.keys())
    return all(
        one[key] == other[key]
        if isinstance(one[key], str)
        else one[key].dtype == other[key].dtype and torch.equal(one[key], other[key])
        for key in one.keys()  # noqa: SIM118, it is no mapping
    )


def test_a_frame_with_its_graph_comes_back_bit_by_bit(frames: list[CrystalData]) -> None:
    graph = BondAngles(3.0)(PeriodicRadiusGraph(4.0)(frames[1]))
    again = decode(encode(graph))
    assert same(graph, again)
    assert again.angle_index.dtype == torch.int64


def test_unknown_labels_and_other_fields_come_back(frames: list[CrystalData]) -> None:
    frame = frames[0]
    frame.stress = torch.full((1, 3, 3), torch.nan, dtype=torch.float64)
    frame.magmom = torch.randn(4, dtype=torch.float32)
    frame.comment = "Ångström"
    again = decode(encode(frame))
    assert bool(again.stress.isnan().all())
    assert torch.equal(again.magmom, frame.magmom)
    assert again.comment == frame.comment


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(-(2**62), 2**62), max_size=6),
    st.sampled_from([torch.int64, torch.int32, torch.uint8, torch.bool, torch.float16, torch.float32]),
)
def test_any_numbers_keep_their_values_and_dtype(values: list[int], dtype: torch.dtype) -> None:
    numbers = torch.tensor(values, dtype=torch.int64).to(dtype)
    again = decode(encode(CrystalData(numbers=numbers)))
    assert again.numbers.dtype == dtype
    assert torch.equal(again.numbers, numbers)


def test_it_is_compact(frames: list[CrystalData]) -> None:
    """Integers take no more bytes than they need, and what is not values is less than a dozen lines."""
    graph = BondAngles(3.9)(PeriodicRadiusGraph(5.0)(frames[1]))
    n_atoms, n_bonds, n_angles = len(graph.z), graph.num_edges, graph.angle_index.size(1)
    assert n_bonds < 2**16
    values = n_atoms * (1 + 24 + 24) + 72 + 8 + 72 + n_bonds * (2 + 3) + n_angles * 4
    assert len(encode(graph)) < values + 220


def test_every_damaged_byte_is_noticed(frames: list[CrystalData]) -> None:
    record = encode(frames[0])
    rng = np.random.default_rng(0)
    for place in rng.choice(len(record), size=60, replace=False):
        damaged = bytearray(record)
        damaged[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(CorruptDatasetError):
            decode(bytes(damaged))
    for length in (0, 1, 5, len(record) // 2, len(record) - 1):
        with pytest.raises(CorruptDatasetError):
            decode(record[:length])


def test_what_is_no_data_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"calc is object"):
        encode(CrystalData(calc=object()))
