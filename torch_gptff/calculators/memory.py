"""Setting of the C library for memory that is freed and used again in each step."""

from __future__ import annotations

import torch


def keep_freed_memory() -> None:
    """Let the C library keep up to 64 MB of freed memory, so that the next step need not zero it.

    glibc keeps twice the largest block that it saw freed, of those up to 32 MB. This one is never written to, and so
    takes no memory; other libraries pay no heed to it.
    """
    torch.empty(33_000_000, dtype=torch.uint8)
