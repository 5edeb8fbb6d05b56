"""Numbers as a reader wants them: aligned, and with as many digits as mean something."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from torch_gptff.errors import GPTFFError

NOTHING = "–"
"""Stands for a value that does not exist."""

DIGITS = 4
"""Significant digits of a single number, and of the median of a column."""

MOST_DECIMALS = 6
SMALLEST, LARGEST = 1e-4, 1e7
"""Numbers beyond these are written with a power of ten."""


_POWER = re.compile(r"((?:[<>] )?-?\d+(?:\.\d+)?)e([+-]?\d+)")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Named(str):
    """A short name, with the full one that a page shows as a tooltip.

    Attributes:
        full: the full name, such as the path of a file
    """

    full: str

    def __new__(cls, short: str, full: str) -> Named:
        named = super().__new__(cls, short)
        named.full = full
        return named


@dataclass(frozen=True)
class Column:
    """A column of a table, on a terminal or in a report.

    Attributes:
        name: heading
        unit: unit of the values
        decimals: digits behind the point; ``None`` for as many as the values call for
        value: the value of a record in this column
        number: whether text is aligned to the right, as numbers are
        optional: whether the column is left out where no row has a value
        detail: whether the column is shown in reports only
        shown: how a text stands on a terminal and in a report; files of data keep it as it is
    """

    name: str
    unit: str = ""
    decimals: int | None = None
    value: Callable[[Any], Any] | None = None
    number: bool = False
    optional: bool = False
    detail: bool = False
    shown: Callable[[str], str] = str

    def of(self, record: Any) -> Any:
        """The value of a record; ``None`` where the record has none."""
        assert self.value is not None
        try:
            return self.value(record)
        except GPTFFError:
            return None


@dataclass(frozen=True)
class Table:
    """A table of text and numbers; ``None`` and NaN stand for what does not exist.

    Attributes:
        columns: headings
        rows: a value for each column
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]

    @classmethod
    def of(
        cls, records: Iterable[tuple[str, Any]], columns: Sequence[Column], first: str, detail: bool = False
    ) -> Table:
        """A table with a row for each record.

        Args:
            records: labels and records
            columns: of the records
            first: heading of the labels
            detail: whether columns for reports are shown
        """
        shown = [column for column in columns if detail or not column.detail]
        rows = [[label, *(column.of(record) for column in shown)] for label, record in records]
        return cls([Column(first), *shown], rows).without_empty_options()

    def without_empty_options(self) -> Table:
        """A copy without the optional columns in which no row has a value."""
        kept = [
            k
            for k, each in enumerate(self.columns)
            if not each.optional or any(row[k] is not None for row in self.rows)
        ]
        return Table([self.columns[k] for k in kept], [[row[k] for k in kept] for row in self.rows])

    def to_csv(self) -> str:
        """Comma-separated values: a line of headings with units, and numbers with all their digits. What does not exist
        is empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([f"{column.name} ({column.unit})" if column.unit else column.name for column in self.columns])
        writer.writerows([["" if value is None else value for value in row] for row in self.rows])
        return text.getvalue()

    def cells(self, separators: bool = True) -> list[list[Cell]]:
        """Every value as text, a column of numbers with the same decimals throughout.

        Args:
            separators: see :func:`written`

        Raises:
            ValueError: a row of another length than there are columns.
        """
        return cells(self.columns, self.rows, separators)


@dataclass(frozen=True)
class Cell:
    """Text of a cell of a table, whether it is aligned as a number, and its tooltip."""

    text: str
    is_number: bool
    title: str = ""


def written(value: Any, decimals: int | None = None, digits: int = DIGITS, separators: bool = True) -> str:
    """A value as text: integers with separators of thousands, ``None`` and NaN as :data:`NOTHING`, lists with commas.

    Args:
        value: anything
        decimals: of a number that is no integer
        digits: significant ones, where no ``decimals`` are given
        separators: whether the digits of a number that is no integer are divided into thousands
    """
    group = "," if separators else ""
    if value is None or (_is_real(value) and math.isnan(value)):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    if _is_real(value):
        return _written_number(float(value), decimals, digits, group)
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(written(item) for item in value) or NOTHING
    return str(value)


def cells(columns: Sequence[Column], rows: Sequence[Sequence[Any]], separators: bool = True) -> list[list[Cell]]:
    """Every value of a table as text, a column of numbers with the same decimals throughout.

    Raises:
        ValueError: a row of another length than there are columns.
    """
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"a row of {len(row)} values under {len(columns)} columns: {list(row)}")
    body: list[list[Cell]] = [[] for _ in rows]
    for k, column in enumerate(columns):
        values = [row[k] for row in rows]
        decimals = common_decimals(values) if column.decimals is None else column.decimals
        is_empty = all(value is None for value in values)
        numeric = any(_is_real(value) for value in values) or (is_empty and column.unit != "")
        for line, value in zip(body, values, strict=True):
            text = column.shown(written(value, decimals, separators=separators))
            is_number = column.number or (numeric and (value is None or _is_real(value)))
            line.append(Cell(text, is_number, value.full if isinstance(value, Named) else ""))
    return body


def common_decimals(values: Sequence[Any]) -> int | None:
    """Decimals with which the median of the numbers has :data:`DIGITS` significant digits; ``None`` without numbers."""
    sizes = sorted(
        abs(float(value))
        for value in values
        if _is_real(value) and not isinstance(value, Integral) and _ordinary(value)
    )
    return None if not sizes else _decimals(sizes[len(sizes) // 2], DIGITS)


def number_of(count: int, things: str) -> str:
    """``"1 frame"``, ``"2,000 frames"``.

    Args:
        count: how many there are
        things: their name, in the plural with ``s``
    """
    return f"{count:,} {things.removesuffix('s') if count == 1 else things}"


def typeset(text: str) -> str:
    """A text as a page shows it: ``"1.8 × 10⁻⁶"`` of ``"1.8e-06"``, and no line ends within ``"1.2 ± 0.1"`` or
    ``"2 × 2 × 2"``."""
    found = _POWER.fullmatch(text)
    if found:
        text = f"{found[1]} × 10{str(int(found[2])).translate(_RAISED)}"
    return text.replace(" × ", "\u00a0×\u00a0").replace(" ± ", "\u00a0±\u00a0")


def _written_number(value: float, decimals: int | None, digits: int, group: str) -> str:
    if value == 0:
        return "0" if decimals is None else f"{0:.{decimals}f}"
    if not math.isfinite(value):
        return "-∞" if value < 0 else "∞"
    if abs(value) >= LARGEST or (decimals is None and abs(value) < SMALLEST):
        return f"{value:.{max(digits - 2, 0)}e}"
    text = f"{value:{group}.{_decimals(abs(value), digits) if decimals is None else decimals}f}"
    return text.removeprefix("-") if not text.strip("-0.,") else text


def _decimals(size: float, digits: int) -> int:
    return min(max(digits - 1 - math.floor(math.log10(size)), 0), MOST_DECIMALS)


def _is_real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _ordinary(value: Any) -> bool:
    return SMALLEST <= abs(float(value)) < LARGEST
