"""The folder of a distillation, which stands for the dataset in it."""

from __future__ import annotations

from pathlib import Path

from torch_gptff.errors import UnreadableDataError

JOB, DATASETS = "distillation.json", ("dataset", "frames.extxyz")


def dataset_in(path: Path) -> Path:
    """The dataset that a distillation made in this folder; any other path as it is.

    Raises:
        UnreadableDataError: the distillation has made none yet.
    """
    if not (path / JOB).is_file():
        return path
    found = next((path / name for name in DATASETS if (path / name).exists()), None)
    if found is None:
        raise UnreadableDataError(f"{path}: the distillation was not finished; the same command again goes on with it")
    return found
