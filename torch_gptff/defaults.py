"""What is used where nothing is named."""

from __future__ import annotations

DEFAULT_MODEL = "gptff-universal"
"""The model that comes with the package."""
