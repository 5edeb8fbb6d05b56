"""Names of files that are written for structures, one folder for many inputs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from torch_gptff.errors import ExistingResultsError
from torch_gptff.io.structures import split_index


class OutputNames:
    """Names in a folder: none is given twice, and none would overwrite an input.

    Args:
        folder: where the files will be
        inputs: the structure files that are read
        resume: whether a run that was stopped goes on in the folder
        overwrite: whether files that are there are replaced

    Attributes:
        existing: files that are there, and are called as those that structures of the inputs would get
    """

    endings = (".extxyz", ".cif", ".traj", ".poscar")

    def __init__(self, folder: Path, inputs: Sequence[str], *, resume: bool = False, overwrite: bool = False) -> None:
        self.resume = resume
        self.overwrite = overwrite
        self._folder = folder
        self._taken = {_key(split_index(file)[0]) for file in inputs}
        self.existing = sorted(self._existing({_stem(str(split_index(file)[0])) for file in inputs}))

    def _existing(self, stems: Collection[str]) -> Iterator[Path]:
        if not self._folder.is_dir():
            return
        names = "|".join(map(re.escape, stems))
        own = re.compile(rf"({names})(-\d+)*({'|'.join(map(re.escape, self.endings))})", re.IGNORECASE)
        for file in self._folder.iterdir():
            if own.fullmatch(file.name) and _key(file) not in self._taken:
                yield file

    def take(self, label: str) -> Path:
        """A path without ending: the stem of the file, the frame where it has several, a number where that is taken."""
        match = re.fullmatch(r"(?P<file>.+)@(?P<frame>\d+)", label)
        stem = _stem(match["file"] if match else label)
        name = f"{stem}-{match['frame']}" if match else stem
        path, number = self._folder / name, 1
        while self._taken & self._files(path):
            number += 1
            path = self._folder / f"{name}-{number}"
        self._taken |= self._files(path)
        return path

    def require_free(self, path: Path) -> None:
        """Refuse to replace the result of another run, where one that was stopped goes on.

        Raises:
            ExistingResultsError: a structure lies there; what a stopped run was writing is without one.
        """
        final = with_ending(path, ".extxyz")
        if self.resume and not self.overwrite and final.exists():
            raise ExistingResultsError(
                f"{final} is there already, and is not of the run that goes on: --overwrite replaces it, or name "
                "another folder"
            )

    def _files(self, path: Path) -> set[str]:
        return {_key(with_ending(path, ending)) for ending in self.endings}


def _stem(file: str) -> str:
    return Path(re.sub(r"\.(gz|bz2|xz)$", "", file)).stem


def with_ending(path: Path, ending: str) -> Path:
    """A path with an ending added to its name, which may hold points."""
    return path.with_name(path.name + ending)


def _key(path: Path) -> str:
    """One text for one file, also where a file system does not tell small letters from capitals."""
    return str(path.resolve()).casefold()
