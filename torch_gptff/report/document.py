"""A report: sections one after the other, written as one HTML file that needs nothing beside it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch_gptff import __version__
from torch_gptff.io.files import written_atomically
from torch_gptff.report.live import figure_data, inline_scripts, json_script
from torch_gptff.report.markup import figure_markup
from torch_gptff.report.tables import Column, Named, Table, cells, typeset, written

if TYPE_CHECKING:
    from ase import Atoms
    from jinja2 import Template
    from matplotlib.figure import Figure

    from torch_gptff.report.structures import Trajectory


WIDE = 5.6
"""Inches. No two figures that are wider stand beside each other on paper."""


@dataclass(frozen=True)
class Section:
    """A piece of a report.

    Attributes:
        kind: which of the pieces that ``page.html`` knows
        content: what it needs
    """

    kind: str
    content: Any


class Report:
    """Text, numbers, tables and figures under a title; every method that adds something returns the report.

    Everything that is given is plain text, and stands on the page as it is: ``<`` is no markup. Figures that follow
    each other stand side by side where there is room.

    Args:
        title: of the page
        summary: a sentence or two below it; the full name of a :class:`Named` text is a tooltip
    """

    def __init__(self, title: str, summary: str = "") -> None:
        self.title = title
        self.summary = summary
        self._sections: list[Section] = []
        self._n_headings = 0
        self._n_tables = 0
        self._n_figures = 0

    def heading(self, text: str, level: int = 2) -> Report:
        """Begin a part (``level=2``), or a part of a part (``level=3``). The full name of a :class:`Named` text is a
        tooltip."""
        self._n_headings += 1
        title = text.full if isinstance(text, Named) else ""
        return self._add("heading", {"text": text, "level": level, "id": f"section-{self._n_headings}", "title": title})

    def text(self, text: str) -> Report:
        """Add paragraphs, which empty lines divide."""
        return self._add("text", [typeset(part.strip()) for part in text.split("\n\n") if part.strip()])

    def note(self, text: str) -> Report:
        """Add what must not be overlooked: a warning, a limit."""
        return self._add("note", text)

    def numbers(self, values: Mapping[str, tuple[Any, str]]) -> Report:
        """Add the few numbers that matter most, in large type.

        Args:
            values: a number and its unit, by name
        """
        return self._add("numbers", [(name, typeset(written(value)), unit) for name, (value, unit) in values.items()])

    def facts(self, facts: Mapping[str, Any]) -> Report:
        """Add names with what they stand for; nested tables are indented. The full name of a :class:`Named` text is a
        tooltip."""
        return self._add("facts", _flattened(facts))

    def records(self, records: Sequence[tuple[str, Any]], columns: Sequence[Column], caption: str = "") -> Report:
        """Add a table with a row for each record.

        Args:
            records: labels and records
            columns: of the records
            caption: below it
        """
        table = Table.of(records, columns, "structure", detail=True)
        return self.table(table.columns, table.rows, caption)

    def table(self, columns: Sequence[Column | str], rows: Sequence[Sequence[Any]], caption: str = "") -> Report:
        """Add a table; a large one scrolls.

        Args:
            columns: names, or names with units and digits
            rows: text and numbers; ``None`` and NaN for what does not exist
            caption: below it

        Raises:
            ValueError: a row of another length than there are columns.
        """
        named = [Column(column) if isinstance(column, str) else column for column in columns]
        body = cells(named, rows)
        right = [column.number or any(row[k].is_number for row in body) for k, column in enumerate(named)]
        self._n_tables += 1
        content = {"columns": list(zip(named, right, strict=True)), "rows": body, "caption": caption}
        return self._add("table", {**content, "id": f"caption-{self._n_tables}"})

    def figure(self, figure: Figure, caption: str, alt: str = "") -> Report:
        """Add a matplotlib figure, drawn now. Black, white and the default grey of grids become the page's colours.

        With JavaScript one can zoom into it, read values off, and save it as SVG or CSV, see
        :mod:`torch_gptff.report.interactive`.

        Args:
            figure: made with :mod:`torch_gptff.report.plots`, or any other way
            caption: below it
            alt: what it shows, for whoever cannot see it; by default the caption
        """
        return self._figure(figure, caption, alt, figure_data(figure))

    def structure(self, atoms: Atoms, caption: str) -> Report:
        """Add a structure that one can turn and measure distances in; without JavaScript, its picture.

        Args:
            atoms: with or without a cell
            caption: below it
        """
        from torch_gptff.report.structures import Trajectory

        return self.trajectory(Trajectory([atoms], [0.0], ""), caption)

    def trajectory(
        self, trajectory: Trajectory, caption: str, figure: Figure | None = None, figure_caption: str = ""
    ) -> Report:
        """Add a trajectory that one can play, turn and measure distances in; without JavaScript, its first frame.

        Args:
            trajectory: see :func:`torch_gptff.report.structures.thin`
            caption: below it
            figure: stands beside it, over the same axis, with a line at the frame that is shown
            figure_caption: below the figure
        """
        from torch_gptff.report.structures import MOST_ATOMS, legend, picture, scene

        first = trajectory.frames[0]
        if len(first) > MOST_ATOMS:
            self.note(f"The structure has {len(first):,} atoms, and is not shown: a page shows {MOST_ATOMS:,} at most.")
            return self if figure is None else self.figure(figure, figure_caption)
        said = " ".join(filter(None, [caption, trajectory.thinned]))
        markup = self._markup(picture(first), said)
        name = f"figure-{self._n_figures}"
        content = {"kind": "viewer", "id": name, "caption": said, "legend": legend(first)}
        self._add("figure", {**content, "markup": markup, "data": json_script(scene(trajectory)), "library": "3dmol"})
        if figure is None:
            return self
        return self._figure(figure, figure_caption, "", figure_data(figure), follows=name)

    def surface(self, figure: Figure, values: Any, caption: str) -> Report:
        """Add a property of all directions as a surface that one can turn.

        Args:
            figure: a picture of it, for paper
            values: positive, by polar angle from 0 to π and by azimuth from 0 to less than 2π, ``[P, A]``
            caption: below it
        """
        from torch_gptff.report.structures import surface_scene

        markup = self._markup(figure, caption)
        content = {"kind": "viewer", "id": f"figure-{self._n_figures}", "caption": caption, "markup": markup}
        return self._add("figure", {**content, "data": json_script(surface_scene(values)), "library": "3dmol"})

    def _markup(self, figure: Figure, alt: str) -> str:
        self._n_figures += 1
        return figure_markup(figure, alt, f"figure-{self._n_figures}")

    def _figure(self, figure: Figure, caption: str, alt: str, data: str | None, follows: str = "") -> Report:
        width, _ = figure.get_size_inches()
        content = {"markup": self._markup(figure, alt or caption), "caption": caption, "wide": width > WIDE}
        if data is not None:
            content |= {"kind": "plot", "data": data, "library": "plotly", "follows": follows}
        return self._add("figure", content)

    def code(self, text: str, title: str) -> Report:
        """Add text as it stands, such as a configuration, folded below its title."""
        return self._add("code", {"text": text, "title": title})

    def to_html(self) -> str:
        """The page."""
        blocks = [
            (kind, [section.content for section in group])
            for kind, group in groupby(self._sections, key=lambda section: section.kind)
        ]
        headings = [section.content for section in self._sections if section.kind == "heading"]
        return _template().render(
            title=self.title,
            summary=self.summary,
            summary_title=self.summary.full if isinstance(self.summary, Named) else "",
            style=(Path(__file__).parent / "style.css").read_text(encoding="utf-8"),
            contents=[heading for heading in headings if heading["level"] == 2],
            blocks=blocks,
            scripts=inline_scripts({each.content.get("library") for each in self._sections if each.kind == "figure"}),
            version=__version__,
            written=time.strftime("%Y-%m-%d %H:%M"),
        )

    def save(self, path: str | Path) -> None:
        """Write the page to a file, whole or not at all."""
        page = self.to_html()
        with written_atomically(path) as temporary:
            temporary.write_text(page, encoding="utf-8")

    def _add(self, kind: str, content: Any) -> Report:
        self._sections.append(Section(kind, content))
        return self


def _flattened(facts: Mapping[str, Any], depth: int = 0) -> list[tuple[int, str, str, str]]:
    """Depth, name, value and tooltip of every line."""
    lines: list[tuple[int, str, str, str]] = []
    for name, value in facts.items():
        if isinstance(value, Mapping) and value:
            lines += [(depth, str(name), "", ""), *_flattened(value, depth + 1)]
        else:
            text = typeset(written(None if isinstance(value, Mapping) else value))
            lines.append((depth, str(name), text, value.full if isinstance(value, Named) else ""))
    return lines


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("torch_gptff.report", ""), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["typeset"] = typeset
    return environment.get_template("page.html")
