"""Splits: reproducible, complete, of the sizes asked for, and without leaks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from torch_gptff.datasets import (
    CrystalDataset,
    Split,
    check_leaks,
    element_split,
    given_split,
    group_split,
    k_fold,
    random_split,
    read_frames,
)
from torch_gptff.datasets.split import _indices, _ranges
from torch_gptff.datasets.splits import _dealt
from torch_gptff.datasets.table import FrameTable
from torch_gptff.errors import LeakError, SplitError
from torch_gptff.graph import CrystalData

THIRDS = {"train": 0.5, "validation": 0.25, "test": 0.25}


@pytest.fixture
def many(make_atoms: Callable[..., Atoms], to_frame: Callable[..., CrystalData]) -> list[CrystalData]:
    """Sixty frames of some thirty formulas, with the materials m-0 to m-14."""
    return [to_frame(make_atoms(seed), material=f"m-{seed % 15}", frame_id=str(seed)) for seed in range(60)]


@pytest.fixture
def table(many: list[CrystalData]) -> FrameTable:
    return FrameTable.of(many)


def complete(split: Split, n_frames: int) -> bool:
    return sorted(np.concatenate(list(split.parts.values())).tolist()) == list(range(n_frames))


def test_random(table: FrameTable) -> None:
    split = random_split(table, THIRDS, seed=3)
    assert complete(split, 60)
    assert {name: len(indices) for name, indices in split.parts.items()} == {"train": 30, "validation": 15, "test": 15}
    again, other = random_split(table, THIRDS, seed=3), random_split(table, THIRDS, seed=4)
    assert all(np.array_equal(split.parts[name], again.parts[name]) for name in THIRDS)
    assert not all(np.array_equal(split.parts[name], other.parts[name]) for name in THIRDS)


@pytest.mark.parametrize("group", ["material", "formula", "chemical system"])
def test_no_group_stands_on_two_sides(many: list[CrystalData], table: FrameTable, group: str) -> None:
    split = group_split(table, THIRDS, group=group)  # type: ignore[arg-type]
    assert complete(split, 60)
    groups = [
        {
            {
                "material": many[frame].material,
                "formula": many[frame].to_ase().symbols.formula.reduce()[0].format("metal"),
                "chemical system": tuple(sorted(set(many[frame].z.tolist()))),
            }[group]
            for frame in indices
        }
        for indices in split.parts.values()
    ]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]


def test_copies_of_a_structure_stay_together(many: list[CrystalData], table: FrameTable) -> None:
    """Whatever a split goes by: here every frame is there three times, under different materials."""
    copies = [frame.clone() for frame in many * 3]
    for number, copy in enumerate(copies):
        copy.material = f"m-{number}"
        copy.energy = copy.energy + number
    for split in (random_split(copies, THIRDS), group_split(copies, THIRDS), k_fold(copies, 4, group=None)):
        for indices in split.parts.values():
            places = set((indices % 60).tolist())
            assert len(indices) == 3 * len(places)
    leaky = Split(FrameTable.of(copies).fingerprint, {"train": np.arange(60), "test": np.arange(60, 180)})
    with pytest.raises(LeakError, match=r"train and test share 60 structures"):
        check_leaks(leaky, copies)


def test_elements_held_out(many: list[CrystalData], table: FrameTable) -> None:
    split = element_split(table, [46], {"train": 0.8, "validation": 0.2})
    assert complete(split, 60)
    assert set(split.parts) == {"train", "validation", "test"}
    for name, indices in split.parts.items():
        assert {46 in many[frame].z.tolist() for frame in indices} == {name == "test"}
    with pytest.raises(SplitError, match=r"no frame has one of the elements \[92\]"):
        element_split(table, [92])
    with pytest.raises(SplitError, match=r"the elements held out are the test set"):
        element_split(table, [46], {"train": 0.5, "test": 0.5})


def test_folds(table: FrameTable) -> None:
    split = k_fold(table, 5)
    assert complete(split, 60)
    assert max(map(len, split.parts.values())) - min(map(len, split.parts.values())) <= 4
    folds = list(split.folds())
    assert len(folds) == 5
    tested = np.concatenate([fold.parts["test"] for fold in folds])
    assert sorted(tested.tolist()) == list(range(60))
    for fold in folds:
        assert complete(fold, 60)
        check_leaks(fold, table)
    with pytest.raises(SplitError, match=r"there is no part 'fold-9'"):
        split.fold("fold-9")
    with pytest.raises(SplitError, match=r"15 groups of frames that must stay together are too few"):
        k_fold(table, 16)
    with pytest.raises(SplitError, match=r"there must be two at least"):
        k_fold(table, 1)


def test_a_split_that_cannot_be_made_names_what_would_work(many: list[CrystalData]) -> None:
    """The fractions, the number of parts or the way to divide that a message names are those that work."""
    of_one = [frame for frame in many if frame.material == many[0].material]
    with pytest.raises(SplitError, match=r"divide them at random \(--by random, random_split\)"):
        group_split(of_one)
    assert len(random_split(of_one, {"train": 0.5, "test": 0.5}).parts) == 2
    two = [*of_one, *(frame for frame in many if frame.material == many[-1].material)]
    with pytest.raises(SplitError, match="divide them into 2 parts at most"):
        group_split(two)
    assert len(group_split(two, {"train": 0.5, "test": 0.5}).parts) == 2
    with pytest.raises(SplitError, match=r"fractions that are nearer to each other, such as 0\.5, 0\.5"):
        group_split(two, {"train": 0.999, "test": 0.001})


def test_the_split_of_the_files(frames: list[CrystalData], many: list[CrystalData]) -> None:
    split = given_split(frames)
    assert split.parts["test"].tolist() == [0, 3, 6, 9]
    with pytest.raises(SplitError, match=r"do not say which part"):
        given_split(many)
    twice = [*frames, *(frame.clone() for frame in frames)]
    for frame in twice[12:]:
        frame.split = "test"
    with pytest.warns(UserWarning, match=r"the split that the files give leaks: .* share 8 structures"):
        given_split(twice)


def test_it_is_kept_and_belongs_to_one_dataset(tmp_path: Path, many: list[CrystalData]) -> None:
    dataset = CrystalDataset.from_frames(many)
    split = group_split(dataset, THIRDS, seed=1)
    split.save(tmp_path / "split.json")
    again = Split.load(tmp_path / "split.json")
    assert again.fingerprint == split.fingerprint
    assert dict(again.made_by) == {"method": "group", "group": "material", "seed": 1, "fractions": THIRDS}
    assert all(np.array_equal(again.parts[name], split.parts[name]) for name in THIRDS)
    parts = again.of(dataset)
    assert [frame.frame_id for frame in parts["test"]] == [str(number) for number in split.parts["test"]]
    for other in (CrystalDataset.from_frames(many[1:]), CrystalDataset.from_frames(many[::-1])):
        with pytest.raises(SplitError, match=r"this split belongs to the dataset"):
            again.of(other)
    many[0].energy = many[0].energy + 1e-6
    with pytest.raises(SplitError, match=r"belongs to another dataset"):
        check_leaks(again, many)


def test_a_graph_does_not_make_it_another_dataset(many: list[CrystalData]) -> None:
    from torch_gptff.graph import PeriodicRadiusGraph

    plain = CrystalDataset.from_frames(many)
    with_graph = CrystalDataset.from_frames([PeriodicRadiusGraph(3.0)(frame) for frame in many])
    assert set(random_split(plain).of(with_graph)) == {"train", "validation", "test"}


def test_leaks_are_found(table: FrameTable) -> None:
    split = group_split(table, THIRDS)
    moved = {name: indices.copy() for name, indices in split.parts.items()}
    moved["test"] = np.sort(np.append(moved["test"], moved["train"][0]))
    moved["train"] = moved["train"][1:]
    with pytest.raises(LeakError, match=r"train and test share 1 material, m-\d+ among them"):
        check_leaks(Split(split.fingerprint, moved, split.made_by), table)
    twice = {"train": np.arange(40), "test": np.arange(39, 60)}
    with pytest.raises(LeakError, match=r"1 frames are in two parts"):
        check_leaks(Split(split.fingerprint, twice), table)
    with pytest.raises(SplitError, match=r"there are 60 frames, and the split names frame 60"):
        check_leaks(Split(split.fingerprint, {"train": np.arange(61)}), table)


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[1]", '{"format": "torch-gptff split", "version": 2}', '{"format": "torch-gptff split", "version": 1}'],
)
def test_a_file_that_is_no_split(tmp_path: Path, content: str) -> None:
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(SplitError, match=r"split.json: not a split"):
        Split.load(tmp_path / "split.json")


def test_an_altered_file(tmp_path: Path, table: FrameTable) -> None:
    random_split(table).save(tmp_path / "split.json")
    document = json.loads((tmp_path / "split.json").read_text())
    document["parts"]["test"].pop()
    (tmp_path / "split.json").write_text(json.dumps(document))
    with pytest.raises(SplitError, match=r"the numbers of frames do not match"):
        Split.load(tmp_path / "split.json")


@pytest.mark.parametrize("fractions", [{}, {"train": 0.5}, {"train": 1.5, "test": -0.5}, {"a": 0.5, "b": 0.6}])
def test_fractions_that_are_none(table: FrameTable, fractions: dict[str, float]) -> None:
    with pytest.raises(SplitError, match=r"fractions must be positive and add up to 1"):
        random_split(table, fractions)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=30, max_size=120), st.integers(0, 5))
def test_parts_are_as_large_as_whole_groups_allow(groups: list[int], seed: int) -> None:
    codes = np.array(groups)
    largest = np.unique(codes, return_counts=True)[1].max()
    try:
        parts = _dealt(codes, THIRDS, seed)
    except SplitError:
        assert len(set(groups)) < 8
        return
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(codes)))
    for name, share in THIRDS.items():
        assert abs(len(parts[name]) - share * len(codes)) <= largest


@settings(deadline=None)
@given(st.sets(st.integers(0, 60)))
def test_ranges_hold_any_numbers(numbers: set[int]) -> None:
    indices = np.array(sorted(numbers), dtype=np.int64)
    ranges = _ranges(indices)
    assert np.array_equal(_indices(ranges), indices)
    assert all(first < end for first, end in ranges)


def test_mlearn_divides_without_leaks(shared_data: Path) -> None:
    """Its own test set shares no structure with the training set, and random parts share none either."""
    frames = list(read_frames(shared_data / "data/mlearn/Mo"))
    split = given_split(frames)
    assert {name: len(indices) for name, indices in split.parts.items()} == {"train": 194, "test": 23}
    check_leaks(random_split(frames), frames)
