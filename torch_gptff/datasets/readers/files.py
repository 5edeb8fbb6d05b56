"""Opening files that may be compressed."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from torch_gptff.errors import UnknownFormatError

COMPRESSED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


@contextmanager
def open_text(path: Path, errors: str = "strict") -> Iterator[IO[str]]:
    """Read a text file, decompressed by its ending ``.gz``, ``.xz`` or ``.bz2``; ``errors`` as of :func:`open`."""
    opened = COMPRESSED.get(path.suffix.lower(), open)(path, "rt", encoding="utf-8-sig", errors=errors)
    with opened as file:
        yield file


def bare_name(path: Path) -> str:
    """The name of a file without the ending of its compression, in small letters."""
    name = path.name.lower()
    return name.removesuffix(path.suffix.lower()) if path.suffix.lower() in COMPRESSED else name


def stem(path: Path) -> str:
    """Default name of the data in a file: the file name up to the first full stop."""
    return path.name.split(".")[0] or path.name


def is_set(value: bool | str, option: str) -> bool:
    """A switch among the options of a format: ``True``, or ``"yes"`` as the command line gives it.

    Raises:
        UnknownFormatError: neither yes nor no.
    """
    if isinstance(value, bool):
        return value
    if value.lower() not in ("yes", "true", "no", "false"):
        raise UnknownFormatError(f"{option} is yes or no, and not {value!r}")
    return value.lower() in ("yes", "true")
