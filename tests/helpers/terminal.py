"""A terminal for commands that run in this process."""

from __future__ import annotations

import os
import pty
import sys
import threading
from typing import Any

import pytest
from rich.progress import Progress

from torch_gptff.cli import app


def run_on_a_terminal(arguments: list[str], columns: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Run a command of ``torch-gptff`` on a terminal of so many columns, which shows every change of its progress.

    Returns:
        The exit code, and all that was written to the terminal.
    """
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        while True:
            try:
                chunk = os.read(ours, 4096)
            except OSError:  # the other end is closed
                return
            if not chunk:
                return
            shown.append(chunk)

    update = Progress.update

    def update_at_once(self: Progress, task: Any, **changes: Any) -> None:
        update(self, task, **{**changes, "refresh": True})

    reader = threading.Thread(target=read)
    reader.start()
    with monkeypatch.context() as patch, os.fdopen(theirs, "w") as screen:
        patch.setenv("COLUMNS", str(columns))
        patch.setenv("TERM", "xterm")
        for name in ("FORCE_COLOR", "NO_COLOR"):
            patch.delenv(name, raising=False)
        for name in ("stdin", "stdout", "stderr"):
            patch.setattr(sys, name, screen)
        patch.setattr(Progress, "update", update_at_once)
        with pytest.raises(SystemExit) as end:
            app(arguments)
    reader.join()
    os.close(ours)
    return int(end.value.code or 0), b"".join(shown).decode()
