"""Writing files whole or not at all, and folders by one process at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from torch_gptff.errors import ExistingResultsError

LOCK = ".lock"
"""In a folder that a process writes to."""


@contextmanager
def written_atomically(path: str | Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to; it becomes ``path`` when the block ends without an error.

    Whoever looks at ``path`` sees the old file or the new one, never half of one. The ending of the name is kept, for
    writers that choose their format by it; missing folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp gives a file to its owner alone
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def claimed(folder: str | Path) -> Iterator[None]:
    """Keep other processes from writing to a folder, which is made, for as long as the block lasts.

    The claim of a killed process ends with it.

    Raises:
        ExistingResultsError: another process writes to the folder.
    """
    from filelock import FileLock, Timeout

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ExistingResultsError(
            f"{folder}: another process is writing to this folder; wait for its end, or name another folder"
        ) from error
    try:
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):
            folder.rmdir()  # where nothing came of it
