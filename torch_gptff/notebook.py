"""Small tables of HTML, by which notebooks show objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape


def facts_html(title: str, facts: Mapping[str, str]) -> str:
    """A table with a title, and a row for each name and its value. All are plain text.

    Args:
        title: above the table
        facts: values by name
    """
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in facts.items()
    )
    return f"<table><caption>{escape(title)}</caption><tbody>{rows}</tbody></table>"


def table_html(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with a title, headings and rows. All are plain text.

    Args:
        title: above the table
        columns: headings
        rows: a text for each column
    """
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
