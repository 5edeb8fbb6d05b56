"""Opening of stored datasets, files and folders as one dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch_gptff.datasets.in_memory import CrystalDataset
from torch_gptff.datasets.readers import detect_format
from torch_gptff.datasets.readers.distilled import dataset_in
from torch_gptff.datasets.readers.stored import open_stored
from torch_gptff.datasets.sources import Sources, as_sources, read_sources
from torch_gptff.datasets.stored import StoredFrames, Transform


def open_dataset(sources: Sources, transform: Transform | None = None) -> StoredFrames:
    """Open data as a dataset. One stored dataset is read in its place, anything else into memory.

    Raises:
        FileNotFoundError, DatasetError, StructureError: see :func:`~torch_gptff.datasets.read_frames`.
    """
    listed = as_sources(sources)
    if len(listed) == 1 and listed[0].name is None and not listed[0].options:
        path = dataset_in(Path(listed[0].path).expanduser())
        if path.is_dir() and (listed[0].format or detect_format(path)) == "dataset":
            stored: Any = open_stored(path, transform=transform)
            return stored
    return CrystalDataset.from_frames(read_sources(listed), transform)
