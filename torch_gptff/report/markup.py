"""A matplotlib figure as markup that stands in a page by itself."""

from __future__ import annotations

import base64
import io
import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 160
"""Resolution of the parts of a figure that are drawn as pixels."""

LEAST_SCALE = 0.5
"""Part of its size that a figure has at least, with words of 4.5 points. Where there is less room, it scrolls."""

LARGEST_SVG = 2_000_000
"""Bytes. A figure that needs more is drawn in dots as a whole."""

COLORS = {"#000000": "currentColor", "#ffffff": "var(--paper)", "#b0b0b0": "var(--rule)"}
"""The colours of the page, light or dark, for the black, white and grid lines of matplotlib."""


def figure_markup(figure: Figure, alt: str, name: str) -> str:
    """The figure as inline SVG in the colours of the page; as a PNG where the SVG would be large.

    Args:
        figure: is not changed
        alt: what it shows, for whoever cannot see it
        name: begins the ids in the SVG, so that figures on one page keep theirs apart
    """
    width, _ = figure.get_size_inches() * 96
    narrowest = f"min-width: {LEAST_SCALE * width:.0f}px"
    svg = _saved(figure, "svg", name).decode()
    if len(svg) <= LARGEST_SVG:
        return _inline(svg, alt, name).replace("<svg", f'<svg style="{narrowest}"', 1)
    picture = base64.b64encode(_saved(figure, "png", name)).decode()
    return f'<img style="{narrowest}" alt="{escape(alt)}" width="{width:.0f}" src="data:image/png;base64,{picture}">'


def _saved(figure: Figure, kind: str, name: str) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(
            buffer,
            format=kind,
            dpi=DPI,
            transparent=kind == "svg",
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None} if kind == "svg" else None,
        )
    return buffer.getvalue()


def _inline(svg: str, alt: str, name: str) -> str:
    """The ``svg`` element alone, without what only a file needs."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="|url\()#', rf"\g<1>#{name}-", svg)
    svg = re.sub("|".join(COLORS), lambda found: COLORS[found[0]], svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
