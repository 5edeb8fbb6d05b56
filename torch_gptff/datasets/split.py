"""Splits of a dataset into training, validation and test frames: their files, and checks for leaks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data, Dataset

from torch_gptff.datasets.fingerprints import dataset_fingerprint
from torch_gptff.datasets.table import FrameTable
from torch_gptff.errors import LeakError, SplitError
from torch_gptff.io.files import written_atomically

FORMAT = "torch-gptff split"
VERSION = 1

Frames = Iterable[Data] | FrameTable
Indices = NDArray[np.int64]


def frames_of_part(frames: Iterable[Data], part: str) -> Iterator[Data]:
    """Yield the frames that their files assign to a part.

    Raises:
        SplitError: no frame is of this part.
    """
    others: set[str] = set()
    found = False
    for frame in frames:
        if frame.split == part:
            found = True
            yield frame
        else:
            others.add(frame.split or "no part")
    if not found:
        raise SplitError(
            f"no frame is of the part {part!r}: the files name {', '.join(sorted(others))}; --split FILE takes a split"
        )


@dataclass(frozen=True)
class Split:
    """Division of a dataset into parts.

    Attributes:
        fingerprint: fingerprint of the dataset
        parts: the frames of each part, ascending; together every frame once, unless it was left out on purpose
        made_by: function and arguments that made it
    """

    fingerprint: str
    parts: Mapping[str, Indices]
    made_by: Mapping[str, Any] = field(default_factory=dict)

    def of(self, dataset: Dataset) -> dict[str, Dataset]:
        """The parts of the dataset that this is a split of.

        Raises:
            SplitError: the split belongs to another dataset.
        """
        found = dataset_fingerprint(dataset)
        if found != self.fingerprint:
            raise SplitError(
                f"this split belongs to the dataset {self.fingerprint[:12]}…, and this one is {found[:12]}…: its "
                "frames, labels or their order differ; make the split anew"
            )
        return {name: dataset[indices] for name, indices in self.parts.items()}

    def fold(self, name: str) -> Split:
        """One fold as test, the others for training.

        Raises:
            SplitError: there is no such part.
        """
        if name not in self.parts:
            raise SplitError(f"there is no part {name!r}; there are {', '.join(self.parts)}")
        rest = np.sort(np.concatenate([indices for other, indices in self.parts.items() if other != name]))
        return Split(self.fingerprint, {"train": rest, "test": self.parts[name]}, {**self.made_by, "fold": name})

    def folds(self) -> Iterator[Split]:
        """Every part as test in turn."""
        return (self.fold(name) for name in self.parts)

    def save(self, path: str | Path) -> None:
        """Write the split as JSON, whole or not at all, with frames as ranges ``[first, behind the last]``."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "made_by": dict(self.made_by),
            "frames": {name: len(indices) for name, indices in self.parts.items()},
            "parts": {name: _ranges(indices) for name, indices in self.parts.items()},
        }
        with written_atomically(path) as temporary:
            temporary.write_text(json.dumps(document, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Split:
        """Read a split that :meth:`save` wrote.

        Raises:
            SplitError: the file is no split, or damaged.
        """
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8-sig"))
            if document["format"] != FORMAT or document["version"] != VERSION:
                raise SplitError(f"{path}: not a split that this version of the package knows")
            parts = {name: _indices(ranges) for name, ranges in document["parts"].items()}
            if {name: len(indices) for name, indices in parts.items()} != document["frames"]:
                raise SplitError(f"{path}: the numbers of frames do not match; was the file altered?")
            return cls(document["fingerprint"], parts, document["made_by"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, SplitError):
                raise
            raise SplitError(f"{path}: not a split, or damaged ({error})") from error


def check_leaks(split: Split, frames: Frames) -> None:
    """Check that no two parts share frames, structures or groups.

    Raises:
        SplitError: the split belongs to another dataset.
        LeakError: says what is shared, by which parts, and how often.
    """
    table = as_table(frames)
    if table.fingerprint != split.fingerprint:
        raise SplitError("this split belongs to another dataset: its frames, labels or their order differ")
    listed = np.concatenate([*split.parts.values()])
    if len(listed) != len(np.unique(listed)):
        raise LeakError(f"{len(listed) - len(np.unique(listed))} frames are in two parts")
    if len(listed) and not 0 <= listed.min() <= listed.max() < len(table):
        raise SplitError(f"there are {len(table)} frames, and the split names frame {listed.max()}")
    _require_apart(split, table.structure, "structure", None)
    group = split.made_by.get("group")
    if group is not None:
        names = table.material.names if group == "material" else table.formula.names if group == "formula" else None
        _require_apart(
            split, group_codes(table, group), group, names, except_part="test" if _by_element(split) else None
        )


def _by_element(split: Split) -> bool:
    """A material may have frames with and without an element, of defects for example."""
    return split.made_by.get("method") == "element"


def _require_apart(
    split: Split, codes: Indices, what: str, names: Sequence[str] | None, except_part: str | None = None
) -> None:
    seen = {name: np.unique(codes[indices]) for name, indices in split.parts.items() if name != except_part}
    ordered = list(seen)
    for place, one in enumerate(ordered):
        for other in ordered[place + 1 :]:
            shared = np.intersect1d(seen[one], seen[other])
            if len(shared):
                example = "" if names is None else f", {names[shared[0]]} among them"
                plural = "" if len(shared) == 1 else "s"
                raise LeakError(f"{one} and {other} share {len(shared)} {what}{plural}{example}")


def group_codes(table: FrameTable, group: str) -> Indices:
    """Numbers that the frames of one material, formula or chemical system share, ``[F]``."""
    if group == "material":
        return table.material.codes
    if group == "formula":
        return table.formula.codes
    if group == "chemical system":
        systems = {system: code for code, system in enumerate(dict.fromkeys(table.elements))}
        return np.array([systems[each] for each in table.elements])[table.formula.codes]
    raise SplitError(f"frames can be grouped by material, formula or chemical system, not by {group!r}")


def as_table(frames: Frames) -> FrameTable:
    """The table of frames, or the table itself."""
    return frames if isinstance(frames, FrameTable) else FrameTable.of(frames)


def _ranges(indices: Indices) -> list[list[int]]:
    """Ascending numbers as ranges ``[first, behind the last]``."""
    if not len(indices):
        return []
    breaks = np.flatnonzero(np.diff(indices) != 1)
    first = indices[np.concatenate([[0], breaks + 1])]
    last = indices[np.concatenate([breaks, [len(indices) - 1]])]
    return np.stack([first, last + 1], axis=1).tolist()


def _indices(ranges: Sequence[Sequence[int]]) -> Indices:
    pieces = [np.arange(first, end, dtype=np.int64) for first, end in ranges]
    return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)
