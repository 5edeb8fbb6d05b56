"""Frames that fit in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch_geometric.data import InMemoryDataset

from torch_gptff.datasets.sources import Sources
from torch_gptff.datasets.stored import StoredFrames, Transform, chosen_sources
from torch_gptff.errors import CorruptDatasetError, DatasetError
from torch_gptff.graph import CrystalData
from torch_gptff.io.files import system_errors, written_atomically


class CrystalDataset(StoredFrames, InMemoryDataset):
    """Frames in memory, with PyG's conventions; stored as one safetensors file.

    Args:
        root: where the frames are stored, under ``processed``
        sources: files and folders of frames; by default what is stored, or what lies under ``root/raw``
        transform: function that is applied to a frame when it is taken
        pre_transform: function that is applied to a frame when it is stored
        pre_filter: function that says whether a frame is stored
        log: whether standard error reports that frames are stored
        force_reload: store the frames again

    Raises:
        DatasetError: there is nothing to store, other sources are stored, or the stored dataset is damaged.
        FileNotFoundError, StructureError: see :func:`~torch_gptff.datasets.read_frames`.
    """

    kind = "in-memory"

    def __init__(
        self,
        root: str | Path | None,
        sources: Sources | None = None,
        transform: Transform | None = None,
        pre_transform: Transform | None = None,
        pre_filter: Transform | None = None,
        log: bool = True,
        force_reload: bool = False,
    ) -> None:
        self.sources = chosen_sources(sources)
        InMemoryDataset.__init__(
            self, None if root is None else str(root), transform, pre_transform, pre_filter, log, force_reload
        )
        if root is not None:
            self.index = self._read_index()
            self._data, self.slices = _load(self.index_path.parent / self.index.files[0].name)

    @classmethod
    def from_frames(cls, frames: Iterable[CrystalData], transform: Transform | None = None) -> CrystalDataset:
        """A dataset of frames in memory, which is not stored.

        Raises:
            DatasetError: there are no frames.
        """
        dataset = cls(None, transform=transform)
        dataset._data, dataset.slices = cls.collate(_at_least_one(frames))
        return dataset

    def _write(self, frames: Iterable[CrystalData], stem: Path) -> Sequence[tuple[Path, int]]:
        listed = _at_least_one(frames)
        file = stem.with_name(f"{stem.name}.safetensors")
        data, slices = self.collate(listed)
        _save(file, data, slices)
        return [(file, len(listed))]


def _at_least_one(frames: Iterable[CrystalData]) -> list[CrystalData]:
    listed = list(frames)
    if not listed:
        raise DatasetError("a dataset needs at least one frame")
    return listed


def _save(file: Path, data: CrystalData, slices: dict[str, Tensor] | None) -> None:
    """Write what :meth:`InMemoryDataset.collate` gives: tensors as such, strings as JSON in the header."""
    from safetensors.torch import save_file

    fields = data.to_dict()
    tensors = {f"data.{key}": value.contiguous() for key, value in fields.items() if isinstance(value, Tensor)}
    texts = {key: value for key, value in fields.items() if not isinstance(value, Tensor)}
    tensors |= {f"slices.{key}": torch.as_tensor(value) for key, value in (slices or {}).items()}
    with written_atomically(file) as temporary, system_errors(file):
        save_file(tensors, temporary, {"texts": json.dumps(texts, ensure_ascii=False)})


def _load(file: Path) -> tuple[CrystalData, dict[str, Tensor] | None]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as content:
            tensors = {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118, it is no mapping
            texts = json.loads(content.metadata()["texts"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptDatasetError(
            f"{file} is damaged ({error}); store the dataset again (force_reload=True)"
        ) from error
    data = {key.removeprefix("data."): value for key, value in tensors.items() if key.startswith("data.")}
    slices = {key.removeprefix("slices."): value for key, value in tensors.items() if key.startswith("slices.")}
    return CrystalData(**data, **texts), slices or None
