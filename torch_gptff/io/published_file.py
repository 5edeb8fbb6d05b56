"""A file that someone has published."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedFile:
    """A file at a public address.

    Attributes:
        url: pinned to one commit
        sha256: of its content
        licence: of its content
    """

    url: str
    sha256: str
    licence: str
