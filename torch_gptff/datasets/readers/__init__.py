"""Readers of file formats, which yield frames one by one with converted units and signs."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.datasets.readers.registry import FORMATS, Format, detect_format, read_frames

__all__ = ["FORMATS", "Format", "detect_format", "read_frames"]

import_lazily(
    __name__,
    {
        ".registry": "FORMATS Format detect_format read_frames",
    },
)
