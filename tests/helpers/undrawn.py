"""Pages whose figures are made and not drawn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from torch_gptff.report import document, markup


@contextmanager
def undrawn_figures() -> Iterator[None]:
    """Figures of pages are empty SVG without data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markup, "_saved", lambda figure, kind, name: b"<svg></svg>")
        patch.setattr(document, "figure_data", lambda figure: None)
        yield
