"""Datasets that this package has stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch_gptff.graph import CrystalData

KINDS = ("lmdb", "on-disk", "in-memory")


def read(path: Path) -> Iterator[CrystalData]:
    """The frames of a dataset, given its root.

    Raises:
        CorruptDatasetError: it was never finished, is truncated or damaged.
    """
    dataset = open_stored(path)
    return (dataset.get(number) for number in range(len(dataset)))


def open_stored(root: Path, **arguments: Any) -> Any:
    """The dataset at a root, of the class that stored it.

    Args:
        root: root folder of the dataset
        arguments: arguments of the class, such as ``transform``

    Raises:
        CorruptDatasetError: it was never finished, is truncated or damaged.
    """
    from torch_gptff.datasets import CrystalDataset, LMDBCrystalDataset, OnDiskCrystalDataset

    classes = {"lmdb": LMDBCrystalDataset, "on-disk": OnDiskCrystalDataset, "in-memory": CrystalDataset}
    kind = next(kind for kind in KINDS if _index(root, kind).is_file() or _leftovers(root, kind))
    return classes[kind](root, **arguments)


def is_stored(folder: Path) -> bool:
    """Whether a folder is the root of a dataset, or of the remains of one."""
    return any(_index(folder, kind).is_file() or _leftovers(folder, kind) for kind in KINDS)


def _index(root: Path, kind: str) -> Path:
    return root / "processed" / f"{kind}.json"


def _leftovers(root: Path, kind: str) -> list[Path]:
    return list((root / "processed").glob(f"{kind}-*"))
