"""The index of a stored dataset: what there is and how large, written when all of it is there.

A dataset without its index was never finished, and a file of another size than the index says is truncated: both are
told from a whole one before any frame is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch_gptff.errors import CorruptDatasetError
from torch_gptff.io.files import written_atomically

FORMAT = "torch-gptff frames"
VERSION = 1


@dataclass(frozen=True)
class DataFile:
    """A file of frames.

    Attributes:
        name: within the folder of the index
        frames: how many it holds
        size: in bytes
    """

    name: str
    frames: int
    size: int


@dataclass(frozen=True)
class Index:
    """What a stored dataset consists of.

    Attributes:
        kind: how it is stored
        fingerprint: see :func:`~torch_gptff.datasets.dataset_fingerprint`
        files: in the order of their frames
        made_of: the identities of its sources
    """

    kind: str
    fingerprint: str
    files: tuple[DataFile, ...]
    made_of: list[dict[str, Any]] = field(default_factory=list)

    @property
    def n_frames(self) -> int:
        return sum(file.frames for file in self.files)

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        document = {"format": FORMAT, "version": VERSION, "frames": self.n_frames, **asdict(self)}
        with written_atomically(path) as temporary:
            temporary.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Index:
        """Read it, and compare the files with it.

        Raises:
            CorruptDatasetError: there is none, it is of another version, or a file is missing or of another size.
        """
        again = "store the dataset again (force_reload=True)"
        if not path.is_file():
            raise CorruptDatasetError(f"{path.parent}: no {path.name}, so the dataset was never finished; {again}")
        try:
            document = json.loads(path.read_text())
            if document["format"] != FORMAT or document["version"] != VERSION:
                raise CorruptDatasetError(f"{path}: stored by another version of this package; {again}")
            files = tuple(DataFile(**file) for file in document["files"])
            index = cls(document["kind"], document["fingerprint"], files, document["made_of"])
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, CorruptDatasetError):
                raise
            raise CorruptDatasetError(f"{path}: not the index of a dataset, or damaged; {again}") from error
        for file in index.files:
            found = path.parent / file.name
            if not found.is_file():
                raise CorruptDatasetError(f"{found} is missing; {again}")
            if found.stat().st_size != file.size:
                raise CorruptDatasetError(
                    f"{found} has {found.stat().st_size} bytes where {file.size} were written: it is truncated or was "
                    f"altered; {again}"
                )
        return index

    def require_made_of(self, sources: list[Mapping[str, Any]], path: Path) -> None:
        """Refuse a dataset that was made of something else.

        Raises:
            CorruptDatasetError: the identities of the sources differ.
        """
        if self.made_of != sources:
            stored, given = (", ".join(each["path"] for each in made_of) for made_of in (self.made_of, sources))
            raise CorruptDatasetError(
                f"{path.parent} holds a dataset made of {stored}, and {given} is asked for, or with other options: "
                "take another root, or pass force_reload=True"
            )
