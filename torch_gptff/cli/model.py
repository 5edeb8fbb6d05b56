"""The potential that a command works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch_gptff.cli.options import DType, chosen_device

if TYPE_CHECKING:
    from torch_gptff.potential import Potential


def load_potential(model: str, device: str | None, dtype: DType, reference: str | None = None) -> Potential:
    """A potential by name or path, on a device and in a precision, and with the reference of one of its sources.

    Raises:
        typer.BadParameter: the device cannot be used.
        CheckpointError, DownloadError, UnknownReferenceError: see :func:`torch_gptff.load_pretrained`.
    """
    from torch_gptff.io import load_pretrained

    where = chosen_device(device)
    return load_pretrained(model, reference).to(where, dtype.torch)
