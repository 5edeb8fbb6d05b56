"""JSON files larger than memory: the items of their outermost list or object, one at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from torch_gptff.datasets.readers.files import open_text
from torch_gptff.errors import UnreadableDataError

CHUNK = 1 << 20
"""Characters read at once; more where a single item is longer."""


def stream_items(path: Path) -> Iterator[tuple[str | int, Any]]:
    """The items of the outermost list, numbered from 0, or of the outermost object, with their keys.

    ``NaN`` and ``Infinity``, which Python writes and JSON does not know, are read as such.

    Raises:
        UnreadableDataError: the file is truncated, or not JSON; says behind which item.
    """
    with open_text(path) as file:
        text = _Text(file)
        number = 0
        try:
            opening = text.next()
            if opening not in "[{":
                raise ValueError("it starts with neither a list nor an object")
            closing = "]" if opening == "[" else "}"
            while text.peek() != closing:
                if number:
                    text.expect(",")
                key: str | int = number
                if opening == "{":
                    key = text.value()
                    text.expect(":")
                yield key, text.value()
                number += 1
        except (ValueError, EOFError, OSError) as error:
            if isinstance(error, UnreadableDataError):
                raise
            raise UnreadableDataError(f"{path}: not JSON, or truncated, after {number} items ({error})") from error


class _Text:
    """Buffer of text that was read from a file and is not used yet."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._decoder = json.JSONDecoder()

    def peek(self) -> str:
        """The next character that is not white space."""
        while True:
            while self._at < len(self._text):
                if not self._text[self._at].isspace():
                    return self._text[self._at]
                self._at += 1
            if not self._read(CHUNK):
                raise EOFError("it ends too early")

    def next(self) -> str:
        character = self.peek()
        self._at += 1
        return character

    def expect(self, character: str) -> None:
        found = self.next()
        if found != character:
            raise ValueError(f"{character!r} is missing before {found!r}")

    def value(self) -> Any:
        self.peek()
        more = CHUNK
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                # Broken, or not all here yet: what is left of the file decides.
                if not self._read(more):
                    raise error from None
            else:
                if isinstance(value, int | float) and not isinstance(value, bool):
                    raise ValueError("an item is a bare number, which may go on behind what has been read")
                self._at = end
                return value
            more *= 2

    def _read(self, n_characters: int) -> bool:
        """Read on; whether there was more."""
        chunk = self._file.read(n_characters)
        self._text = self._text[self._at :] + chunk
        self._at = 0
        return bool(chunk)
