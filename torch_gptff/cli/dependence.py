"""What the results of a command depend on, taken from the options that it was called with."""

from __future__ import annotations

import hashlib
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from torch_gptff.io.identity import identity
from torch_gptff.potential import Potential

NO_SETTINGS = frozenset(
    {
        *("context", "files", "folder", "model", "device"),
        *("out", "json", "report", "resume", "overwrite", "batch", "batch_atoms"),
    }
)
"""Options that no number depends on, or whose content is compared by itself: structures one by one, the model by its
digest."""


def dependence(context: typer.Context, potential: Potential, **more: Any) -> dict[str, Any]:
    """All that stored results must have in common with new ones, in types that JSON knows.

    Args:
        context: of the command: every option of it counts but those in :data:`NO_SETTINGS`
        potential: that computes
        **more: what the command depends on beside its options
    """
    options = {name: _plain(value) for name, value in context.params.items() if name not in NO_SETTINGS}
    return {"model": str(context.params.get("model")), **options, **identity(potential), **more}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path) and value.is_file():
        return hashlib.sha256(value.read_bytes()).hexdigest()
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
