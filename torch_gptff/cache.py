"""Folder of files that can be made or fetched again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """``$TORCH_GPTFF_CACHE``, or the user's cache folder of this system."""
    chosen = os.environ.get("TORCH_GPTFF_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("torch_gptff"))
