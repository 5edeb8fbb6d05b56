"""Division of the frames into training, validation and test."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from torch_gptff.datasets import Split, given_split, group_split, random_split
from torch_gptff.datasets.table import FrameTable
from torch_gptff.errors import SplitError
from torch_gptff.training.config import DataSettings

NAMES = {"train": "train", "rest": "train", "validation": "validation", "valid": "validation", "val": "validation",
         "test": "test"}  # fmt: skip
"""Names of the parts in files."""

Parts = dict[str, NDArray[np.int64]]


def divide(table: FrameTable, settings: DataSettings, seed: int) -> Split:
    """Hold out validation and test frames that have no files of their own.

    Args:
        table: table of the frames of the training sources
        settings: settings of the data
        seed: random seed of the split

    Raises:
        SplitError: there are too few frames or materials; the files name parts that are not known; or a stored split
            is of other data.
    """
    if settings.split.endswith(".json"):
        return _stored(table, settings.split)
    parts = _given(table) if settings.split == "given" else {"train": np.arange(len(table))}
    wanted = {
        "validation": 0.0 if settings.validation or "validation" in parts else settings.validation_fraction,
        "test": 0.0 if settings.test or "test" in parts else settings.test_fraction,
    }
    fractions = {name: fraction for name, fraction in wanted.items() if fraction > 0}
    if fractions:
        parts |= _held_out(table, parts["train"], fractions, settings.split, seed)
    made_by = {"method": settings.split, "seed": seed, "fractions": fractions}
    return Split(table.fingerprint, {name: np.sort(frames) for name, frames in parts.items()}, made_by)


def _stored(table: FrameTable, path: str) -> Split:
    split = Split.load(path)
    if split.fingerprint != table.fingerprint:
        raise SplitError(f"{path} belongs to other data than those in data.train: make the split anew")
    if "train" not in split.parts:
        raise SplitError(f"{path} has no part 'train'; it has {', '.join(split.parts)}")
    return split


def _given(table: FrameTable) -> Parts:
    named: dict[str, list[NDArray[np.int64]]] = {}
    for name, frames in given_split(table).parts.items():
        if name not in NAMES:
            raise SplitError(f"the files put frames into a part {name!r}; those known are {', '.join(NAMES)}")
        named.setdefault(NAMES[name], []).append(frames)
    if "train" not in named:
        raise SplitError("the files put no frame into the part 'train'")
    return {name: np.concatenate(frames) for name, frames in named.items()}


def _held_out(
    table: FrameTable, frames: NDArray[np.int64], fractions: Mapping[str, float], by: str, seed: int
) -> Parts:
    shares = {"train": 1 - sum(fractions.values()), **fractions}
    if shares["train"] <= 0:
        raise SplitError(f"nothing is left to train on: {dict(fractions)} are held out")
    rest = table.taken(frames)
    one_material = len(np.unique(rest.material.codes)) == 1
    at_random = by == "random" or (by == "given" and one_material)
    split = random_split(rest, shares, seed) if at_random else group_split(rest, shares, seed)
    return {name: frames[places] for name, places in split.parts.items()}
