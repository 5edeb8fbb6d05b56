"""File of the results of a screening."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ase import Atoms

from torch_gptff.errors import JournalError
from torch_gptff.io.files import claimed, names_file
from torch_gptff.io.identity import difference, structure_digest

HEAD = b'{"settings": '
"""Beginning of the file."""


class ScreeningResults:
    """Results by a digest of the structure, in a file of JSON lines whose first line states the settings.

    A result is found by its structure, whatever its place in a list. Memory holds only the place of every line, some
    200 bytes for a structure. One process writes at a time. A line that was cut off is ignored, and computed again.

    Args:
        path: the file; it is made where there is none
        identity: see :meth:`~torch_gptff.workflows.screening.Task.identity`

    Raises:
        JournalError: the file holds results that depend on something else, or is no file of results.
        ExistingResultsError: another process writes to it.
    """

    def __init__(self, path: str | Path, identity: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self._places: dict[bytes, int] = {}
        self._claim = ExitStack()
        self._claim.enter_context(claimed(self.path))
        try:
            self._open(json.loads(json.dumps(dict(identity))))
        except BaseException:
            self._claim.close()
            raise

    def __contains__(self, key: str) -> bool:
        return bytes.fromhex(key) in self._places

    def __getitem__(self, key: str) -> dict[str, Any]:
        self._reader.seek(self._places[bytes.fromhex(key)])
        result: dict[str, Any] = json.loads(self._reader.readline())["result"]
        return result

    def __len__(self) -> int:
        return len(self._places)

    def keys(self) -> Iterator[str]:
        """Keys of all results, in the order in which they came."""
        return (key.hex() for key in self._places)

    def add(self, key: str, result: Mapping[str, Any]) -> None:
        """Write a result to the file."""
        line = json.dumps({"key": key, "result": dict(result)}, allow_nan=False, ensure_ascii=False) + "\n"
        place = self._writer.seek(0, 2)
        with names_file(self.path):
            self._writer.write(line.encode())
            self._writer.flush()
        self._places[bytes.fromhex(key)] = place

    def close(self) -> None:
        """Close the file, and let other processes write to it."""
        self._claim.close()

    def __enter__(self) -> ScreeningResults:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, identity: dict[str, Any]) -> None:
        self._writer = self._claim.enter_context(self.path.open("ab"))
        self._reader = self._claim.enter_context(self.path.open("rb"))
        place = 0
        for number, line in enumerate(self._reader):
            if not line.endswith(b"\n") and (number > 0 or line[: len(HEAD)] == HEAD[: len(line)]):
                break  # cut off
            try:
                document = json.loads(line)
                if number == 0:
                    self._compare(document["settings"], identity)
                else:
                    self._places[bytes.fromhex(document["key"])] = place
            except (ValueError, KeyError, TypeError) as error:
                if isinstance(error, JournalError):
                    raise
                raise JournalError(
                    f"{self.path}, line {number + 1}: no result of a screening; delete the file, or write elsewhere"
                ) from error
            place += len(line)
        self._writer.truncate(place)
        if place == 0:
            self._writer.write(json.dumps({"settings": identity}, ensure_ascii=False).encode() + b"\n")
            self._writer.flush()

    def _compare(self, stored: dict[str, Any], now: dict[str, Any]) -> None:
        other = difference(stored, now)
        if other is not None:
            raise JournalError(f"{self.path} holds results of other settings, {other}: delete it, or write elsewhere")


def key_of(atoms: Atoms) -> str:
    """Key of a structure's result, a digest of the structure."""
    return structure_digest(atoms)[:32]
