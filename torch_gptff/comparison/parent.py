"""The process that started this one."""

from __future__ import annotations

import os
import threading


def end_with_parent() -> None:
    """End this process when the one that started it does, be it killed: nothing holds the other end of stdin then."""

    def wait() -> None:
        # Not through sys.stdin: Python ends in an abort where a thread still holds the lock of its buffer.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
