"""Results that are written down as they come, so that a run which was killed goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch_gptff.errors import JournalError
from torch_gptff.io.files import names_file
from torch_gptff.io.identity import difference, structure_digest

if TYPE_CHECKING:
    from ase import Atoms


HEAD = b'{"settings": '
"""First line of a journal."""


class Journal:
    """A file of JSON lines: the settings of a run, then a line for every result, written when it is known.

    A line that was cut off in the middle is forgotten when the file is opened again; its result is computed anew.

    Args:
        path: the file; it is made where there is none. ``None``: results are kept in memory alone
        settings: of the run, in types that JSON knows

    Raises:
        JournalError: the file is of a run with other settings, or no journal.
    """

    def __init__(self, path: str | Path | None, settings: Mapping[str, Any]) -> None:
        self.path = None if path is None else Path(path)
        self._results: dict[str, dict[str, Any]] = {}
        head = json.loads(json.dumps({"settings": dict(settings)}))
        if self.path is None:
            return
        lines = self._whole_lines(self.path)
        other = difference(lines[0].get("settings", {}), head["settings"]) if lines else None
        if other is not None:
            raise JournalError(
                f"{self.path} holds the results of an unfinished run with other settings, {other}: finish that run, or "
                "delete the file"
            )
        for line in lines[1:]:
            self._results[line["key"]] = line["result"]
        if not lines:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._append(head)

    def __contains__(self, key: str) -> bool:
        return key in self._results

    def __getitem__(self, key: str) -> dict[str, Any]:
        return self._results[key]

    def __len__(self) -> int:
        return len(self._results)

    def add(self, key: str, result: Mapping[str, Any]) -> None:
        """Write a result down."""
        self._results[key] = dict(result)
        if self.path is not None:
            self._append({"key": key, "result": dict(result)})

    def remove(self) -> None:
        """Delete the file, when the run is finished and its results are where they belong."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _append(self, line: dict[str, Any]) -> None:
        assert self.path is not None
        with names_file(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False, ensure_ascii=False) + "\n")

    @staticmethod
    def _whole_lines(path: Path) -> list[dict[str, Any]]:
        if not path.exists():
            return []
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        try:
            if not whole and data[: len(HEAD)] != HEAD[: len(data)]:
                raise ValueError("it does not begin as a journal does")
            lines = [json.loads(line) for line in whole.splitlines()]
        except ValueError as error:
            raise JournalError(f"{path} is not the file of an unfinished run: delete it, or write elsewhere") from error
        if len(whole) < len(data):
            with path.open("r+b") as file:
                file.truncate(len(whole))
        return lines


def key_of(label: str, atoms: Atoms) -> str:
    """A name for the results of a structure, which another structure in a file of the same name does not have."""
    return f"{label} {structure_digest(atoms)[:16]}"
