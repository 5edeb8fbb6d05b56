"""How the C library treats memory that a step has freed."""

from __future__ import annotations

import torch


def keep_freed_memory() -> None:
    """Let the C library keep up to 64 MB of what a step has freed for the next one, which else has to be zeroed anew.

    glibc keeps twice the largest block that it saw freed, of those up to 32 MB. This one is never written to, and so
    takes no memory; other libraries pay no heed to it.
    """
    torch.empty(33_000_000, dtype=torch.uint8)
