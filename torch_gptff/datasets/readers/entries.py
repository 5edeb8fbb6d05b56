"""Look-up of values for readers of JSON and CSV, with an error for missing ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch_gptff.errors import UnreadableDataError


def require(entry: Any, key: str, where: str) -> Any:
    """``entry[key]``.

    Raises:
        UnreadableDataError: there is no such key, or no mapping to look it up in.
    """
    if not isinstance(entry, Mapping):
        raise UnreadableDataError(f"{where}: an object is expected, and this is a {type(entry).__name__}")
    if key not in entry:
        raise UnreadableDataError(f"{where}: there is no {key!r}; there are {', '.join(map(repr, list(entry)[:8]))}")
    return entry[key]
