"""Readers of file formats, which yield frames one by one with converted units and signs."""

from torch_gptff.datasets.readers.registry import FORMATS, Format, detect_format, read_frames

__all__ = ["FORMATS", "Format", "detect_format", "read_frames"]
