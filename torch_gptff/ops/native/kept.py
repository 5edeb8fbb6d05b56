"""Cache of compiled kernels, from which only unaltered libraries of this user are loaded.

A library is kept in a folder that belongs to the user and that nobody else can write to, under a name that ends with
the digest of its content: one that was put there, altered or cut short by anyone is compiled anew.
"""

from __future__ import annotations

import hashlib
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def find(folder: Path, name: str) -> Path | None:
    """The library that :func:`keep` kept; ``None`` where there is none that can be trusted."""
    if not _is_private(folder):
        return None
    for file in folder.glob(f"{name}-*.so"):
        if _belongs_to_user(file) and file.name == _name(name, file):
            return file
        with suppress(OSError):
            file.unlink()
    return None


def keep(made: Path, folder: Path, name: str) -> Path:
    """Move a library that was compiled to where :func:`find` finds it."""
    made.chmod(0o700)
    return made.replace(folder / _name(name, made))


@contextmanager
def workshop(folder: Path) -> Iterator[tuple[Path, bool]]:
    """A new folder to compile in, and whether what is made there can be kept in ``folder``.

    Other processes, threads and machines may be compiling the same.
    """
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)
    if folder.lstat().st_uid == _user():
        folder.chmod(0o700)
    private = _is_private(folder)
    if not private:
        warnings.warn(
            f"kernels are compiled anew by every process: {folder} or the folder that it is in belongs to another user "
            "or can be written by others, who could put code there. Make them yours alone (chmod go-w), or set "
            "TORCH_GPTFF_CACHE to another folder",
            stacklevel=6,
        )
    with TemporaryDirectory(dir=folder if private else None) as new:
        yield Path(new), private


def _name(name: str, file: Path) -> str:
    return f"{name}-{hashlib.sha256(file.read_bytes()).hexdigest()[:32]}.so"


def _is_private(folder: Path) -> bool:
    """Whether nobody but the user and the administrator can put files into a folder, or another in its place."""
    if not folder.is_dir() or not _belongs_to_user(folder):
        return False
    above = folder.parent.stat()
    return above.st_uid in (_user(), 0) and (not above.st_mode & OTHERS_WRITE or bool(above.st_mode & stat.S_ISVTX))


def _belongs_to_user(path: Path) -> bool:
    status = path.lstat()
    return status.st_uid == _user() and not stat.S_ISLNK(status.st_mode) and not status.st_mode & OTHERS_WRITE


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0  # as os.stat has it where there are no such users
