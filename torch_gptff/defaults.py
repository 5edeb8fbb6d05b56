"""Defaults that several parts of the package share."""

from __future__ import annotations

DEFAULT_MODEL = "gptff-universal"
"""The model that comes with the package."""
