"""Writing files whole or not at all, and folders by one process at a time."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from torch_gptff.errors import ExistingResultsError

FULL = 1 << 20
"""Bytes. A disk with less room than this is full."""


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
        with names_file(path):
            yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp gives a file to its owner alone
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def names_file(path: str | Path) -> Iterator[None]:
    """Give the errors of the system the name of the file that is written, where they have none: a full disk, say."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def system_errors(path: str | Path) -> Iterator[None]:
    """Raise what safetensors and PyTorch make of a full disk, or of one that cannot be written, as ``OSError``."""
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, RuntimeError) as error:
        is_full = os.strerror(errno.ENOSPC) in str(error) or shutil.disk_usage(Path(path).parent).free < FULL
        code = errno.ENOSPC if is_full else errno.EIO
        raise OSError(code, f"{os.strerror(code)} ({error})", str(path)) from error


@contextmanager
def claimed(path: str | Path) -> Iterator[None]:
    """Keep other processes from writing a file, or to a folder, for as long as the block lasts.

    The claim is a lock on a hidden file beside it, and ends with the process, also where that is killed.

    Raises:
        ExistingResultsError: another process writes there.
    """
    from filelock import FileLock, Timeout

    place = Path(path).resolve()
    file = place.parent / f".{place.name}.lock"
    made = [folder for folder in file.parents if not folder.exists()]
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ExistingResultsError(
            f"another process is writing to {path}: wait for its end, or name another place"
        ) from error
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):
            for folder in made:
                folder.rmdir()  # where nothing came of it
