"""Limits of what the page takes."""

from __future__ import annotations

from dataclasses import dataclass

MEGABYTE = 10**6

READING_S = 60.0
"""Largest time that a file is read for, s."""

MOST_STRUCTURES = 20
"""Files that the page keeps; the oldest goes."""

MOST_JOBS = 200
"""Jobs that the page keeps, with those that are done."""

MOST_CHARACTERS = 100
"""Number of characters of a file name that are shown."""


@dataclass(frozen=True)
class Limits:
    """Limits of what the page takes.

    Attributes:
        megabytes: of a file
        atoms: of a structure, repeated as a job asks for
        minutes: that a job may compute
        waiting: jobs that may wait
    """

    megabytes: float = 10.0
    atoms: int = 1000
    minutes: float = 60.0
    waiting: int = 20

    @property
    def upload(self) -> int:
        """Bytes of a file."""
        return int(self.megabytes * MEGABYTE)
