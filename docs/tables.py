"""Tables that a person can read: numbers to the right, and no line break between a number and its error or unit."""

from __future__ import annotations

import re
from typing import Any

_TABLE = re.compile(r"<table>.*?</table>", flags=re.DOTALL)
_ROW = re.compile(r"<tr>.*?</tr>", flags=re.DOTALL)
_CELL = re.compile(r"<(t[hd])>(.*?)</t[hd]>", flags=re.DOTALL)
_NUMBER = re.compile(r"[−-]?\d[\d,.]*(\s?[×%])?(\s±\s[\d,.]+)?(\s\([\d,.]+\))?(\s(?:%|×|s|ms|K|Å))?")
_JOINED = re.compile(r"(?<=\d) (?=[±%×(]|(?:Å|K|eV|GPa)\b)|(?<=±) ")
EMPTY = ("", "–")
LONG = 25  # rows, from which on they stand closer


def on_page_content(content: str, **_: Any) -> str:
    """A hook of mkdocs: the page's HTML with its tables set."""
    return _TABLE.sub(lambda match: _set(match[0]), content)


def _set(table: str) -> str:
    rows = [[cell[1] for cell in _CELL.findall(row)] for row in _ROW.findall(table)]
    numeric = [_is_numeric(column) for column in zip(*rows[1:], strict=False)]

    def row(match: re.Match[str]) -> str:
        places = iter(numeric)
        return _CELL.sub(lambda cell: _cell(cell[1], cell[2], next(places, False)), match[0])

    table = _ROW.sub(row, table)
    return table.replace("<table>", "<table data-long>") if len(rows) > LONG else table


def _is_numeric(column: tuple[str, ...]) -> bool:
    filled = [cell.strip() for cell in column if cell.strip() not in EMPTY]
    return bool(filled) and all(_NUMBER.fullmatch(cell) for cell in filled)


def _cell(tag: str, content: str, is_numeric: bool) -> str:
    if tag == "td" and "<" not in content:
        content = _JOINED.sub("\N{NO-BREAK SPACE}", content)
    if tag == "th" and "<" not in content:
        content = content.replace("/", "/\N{WORD JOINER}")  # a unit stays in one piece
    return f'<{tag} align="right">{content}</{tag}>' if is_numeric else f"<{tag}>{content}</{tag}>"
