"""Frames with atoms that nearly coincide are told, and read as they are."""

from __future__ import annotations

from torch_gptff.datasets import check_labels
from torch_gptff.datasets.closeness import check_closeness
from torch_gptff.graph import CrystalData


def test_atoms_on_one_spot_are_told(frames: list[CrystalData]) -> None:
    frames[2].pos[1] = frames[2].pos[0] + 0.3
    frames[4].pos[1] = frames[4].pos[0] + 0.2
    (sentence,) = check_closeness(frames)
    assert sentence.startswith(
        "one: atoms are nearer than a third of touching in 2 of 6 frames, down to 0.35 Å in metal-4: right where they"
    )
    assert sentence in check_labels(frames)


def test_ordinary_frames_and_collisions_are_not(frames: list[CrystalData]) -> None:
    frames[2].pos[1] = frames[2].pos[0] + 0.75  # 1.3 Å
    assert check_closeness(frames) == []
