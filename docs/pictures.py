"""Draw the pictures of two pages, home and "How it is built": ``python docs/pictures.py`` writes the SVG files.

They are put into the pages as they are, so that their colours are those of the page, light or dark (``style.css``).
"""

from __future__ import annotations

from html import escape
from math import cos, hypot, sin
from pathlib import Path

PAGES = Path(__file__).parent / "pages"
WIDTH = 640


class Drawing:
    """SVG elements, one after the other."""

    def __init__(self) -> None:
        self.elements: list[str] = []

    def text(self, x: float, y: float, words: str, size: float = 16, kind: str = "ink", anchor: str = "middle") -> None:
        weight = ' font-weight="bold"' if kind == "bold" else ""
        self.elements.append(
            f'<text class="tg-ink" x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}"{weight}>'
            f"{escape(words)}</text>"
        )

    def circle(self, x: float, y: float, radius: float, kind: str, opacity: float = 1) -> None:
        faint = "" if opacity == 1 else f' opacity="{opacity:g}"'
        self.elements.append(f'<circle class="tg-{kind}" cx="{x:.4g}" cy="{y:.4g}" r="{radius:g}"{faint}/>')

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str = "bond", head: bool = False) -> None:
        end = ' marker-end="url(#tg-head)"' if head else ""
        self.elements.append(f'<line class="tg-{kind}" x1="{x1:.4g}" y1="{y1:.4g}" x2="{x2:.4g}" y2="{y2:.4g}"{end}/>')

    def box(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        self.elements.append(
            f'<rect class="tg-{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="7"/>'
        )

    def svg(self, height: float, title: str) -> str:
        head = (
            '<defs><marker id="tg-head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="5" markerHeight="5" '
            'orient="auto"><path class="tg-tip" d="M0,0 L8,4 L0,8 z"/></marker></defs>'
        )
        body = "\n".join(self.elements)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="tg-picture" viewBox="0 0 {WIDTH} {height:g}" role="img" '
            f'aria-label="{escape(title)}">\n{head}\n{body}\n</svg>\n'
        )


def home() -> str:
    """A crystal, the graph about one of its atoms, and the forces on its atoms."""
    draw = Drawing()
    step, top = 40, 40
    places = [(column, row) for row in range(4) for column in range(4)]
    moved = {(c, r): (7 * sin(3 * c + 5 * r), 7 * cos(4 * c + 2 * r)) for c, r in places}

    def place(left: float, column: int, row: int) -> tuple[float, float]:
        dx, dy = moved[column, row]
        return left + step * column + dx, top + step * row + dy

    def atom(left: float, column: int, row: int, opacity: float = 1) -> None:
        large = (column + row) % 2 == 0
        draw.circle(*place(left, column, row), 13 if large else 9, "anion" if large else "cation", opacity)

    for column, row in places:  # the crystal
        for neighbor in ((column + 1, row), (column, row + 1)):
            if neighbor in moved:
                draw.line(*place(34, column, row), *place(34, *neighbor))
    for column, row in places:
        atom(34, column, row)
    draw.text(94, 222, "structure", 18, "bold")
    draw.text(94, 245, "any ASE or pymatgen file")

    draw.line(186, 100, 222, 100, "arrow", head=True)

    center, left = (1, 1), 262  # the graph
    cx, cy = place(left, *center)
    reach = 1.75 * step
    draw.circle(cx, cy, reach, "cutoff")
    inside = {
        spot
        for spot in places
        if spot != center and hypot(*(a - b for a, b in zip(place(left, *spot), (cx, cy), strict=True))) < reach
    }
    for spot in inside:
        draw.line(*place(left, *spot), cx, cy, "edge")
    for spot in places:
        atom(left, *spot, opacity=1 if spot in inside or spot == center else 0.3)
    draw.text(322, 222, "graph", 18, "bold")
    draw.text(322, 245, "atoms and their bonds")

    draw.line(414, 100, 450, 100, "arrow", head=True)

    left = 486  # what comes out
    for column, row in places:
        x, y = place(left, column, row)
        dx, dy = moved[column, row]
        atom(left, column, row)
        draw.line(x, y, x - 3.1 * dx, y - 3.1 * dy, "force", head=True)
    draw.text(546, 222, "result", 18, "bold")
    draw.text(546, 245, "energy, forces, stress")
    return draw.svg(258, "A crystal becomes a graph of atoms and bonds, and GPTFF gives its energy, forces and stress")


FLOORS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Questions", ("cli",)),
    ("Answers", ("serve", "workflows", "comparison", "testing")),
    ("Learning", ("training", "evaluation", "calculators")),
    ("Files", ("record", "datasets", "report", "io")),
    ("Forces and stress", ("potential", "prediction")),
    ("Energy", ("models", "nn", "ops")),
    ("Crystals", ("graph",)),
    ("Ground", ("settings", "errors", "units", "cache", "defaults", "notebook", "lazy", "postponed", "moved")),
)
"""The rooms of the package from top to bottom; a room imports from lower floors, and from rooms at its right."""


def rooms() -> str:
    """The floors of the package, one above the other."""
    draw = Drawing()
    height, gap, left = 54, 10, 12
    width = WIDTH - 2 * left
    for number, (floor, names) in enumerate(FLOORS):
        y = 12 + number * (height + 24 + gap)
        draw.text(left, y + 15, floor, 15, anchor="start")
        each = (width - 8 * (len(names) - 1)) / len(names)
        for place, name in enumerate(names):
            x = left + place * (each + 8)
            draw.box(x, y + 24, each, height, f"floor{number % 4}")
            draw.text(x + each / 2, y + 24 + height / 2 + 6, name, 18, "bold")
    total = 12 + len(FLOORS) * (height + 24 + gap)
    return draw.svg(total, "The rooms of torch_gptff by floor, from the command line down to units and errors")


PICTURES = {"home.svg": home, "rooms.svg": rooms}


if __name__ == "__main__":
    for name, draw_it in PICTURES.items():
        (PAGES / name).write_text(draw_it(), encoding="utf-8")
