"""The index of a stored dataset, which lists its files and their sizes, and is written last.

A dataset without its index was never finished, and a file of another size than the index says is truncated: both are
distinguished from a complete one before any frame is read. The files of a dataset lie beside its index: an index that
names any
other file is refused, so that nothing outside the folder is opened, written or removed.
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
        name: file name in the folder of the index; it begins with the kind of the dataset and a hyphen
        frames: number of its frames
        size: size in bytes
    """

    name: str
    frames: int
    size: int


@dataclass(frozen=True)
class Index:
    """Contents of a stored dataset.

    Attributes:
        kind: kind of storage
        fingerprint: see :func:`~torch_gptff.datasets.dataset_fingerprint`
        files: files in the order of their frames
        made_of: identities of its sources
        prepared_by: the ``pre_transform`` and ``pre_filter`` that the frames went through, as texts
    """

    kind: str
    fingerprint: str
    files: tuple[DataFile, ...]
    made_of: list[dict[str, Any]] = field(default_factory=list)
    prepared_by: dict[str, str] | None = None

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
            CorruptDatasetError: there is none, it is of another version, it names a file that is not of this dataset,
                or a file is missing or of another size.
        """
        again = "store the dataset again (force_reload=True)"
        if not path.is_file():
            raise CorruptDatasetError(f"{path.parent}: no {path.name}, so the dataset was never finished; {again}")
        try:
            document = json.loads(path.read_text())
            if document["format"] != FORMAT or document["version"] != VERSION:
                raise CorruptDatasetError(f"{path}: stored by another version of this package; {again}")
            files = tuple(DataFile(**file) for file in document["files"])
            prepared_by = document.get("prepared_by")
            index = cls(document["kind"], document["fingerprint"], files, document["made_of"], prepared_by)
            if not files or not all("path" in source for source in index.made_of):
                raise KeyError("files", "path")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            if isinstance(error, CorruptDatasetError):
                raise
            raise CorruptDatasetError(f"{path}: not the index of a dataset, or damaged; {again}") from error
        for file in index.files:
            require_inside(path, index.kind, file.name)
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


def require_inside(index_path: Path, kind: str, name: str) -> None:
    """Refuse a file that does not belong to the dataset of an index.

    Args:
        index_path: the index, ``KIND.json``
        kind: kind of the dataset that the index states
        name: file name that the index states

    Raises:
        CorruptDatasetError: the name leads out of the folder, is not of this kind, or is that of a symbolic link.
    """
    bare = isinstance(name, str) and name == Path(name).name and "\\" not in name and "\0" not in name
    if kind != index_path.stem or not bare or not name.startswith(f"{kind}-"):
        raise CorruptDatasetError(
            f"{index_path} names the file {name!r}, which is no file of a {index_path.stem} dataset in this folder: "
            "the index was altered and is not followed; get the dataset again, or store it in another folder"
        )
    refuse_link(index_path.parent / name)


def refuse_link(path: Path) -> None:
    """Refuse a symbolic link where a dataset has a file or folder of its own.

    Raises:
        CorruptDatasetError: it is one.
    """
    if path.is_symlink():
        raise CorruptDatasetError(
            f"{path} is a symbolic link, and may lead out of the dataset: put the file itself there, or store the "
            "dataset again in another folder"
        )
