"""What is written to standard output: tables and progress on a terminal, plain lines anywhere else."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ase import Atoms
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

NOTHING = "–"
"""Stands in a table for a value that does not exist."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: above it
        unit: of its values
        number: whether it holds numbers
        optional: whether it is left out where no row has a value
    """

    name: str
    unit: str = ""
    number: bool = True
    optional: bool = False


def make_console() -> Console:
    """Standard output."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def visible(text: str) -> str:
    """A text with escapes for its control characters and for those that turn the direction of writing.

    Names of files and titles come from others, and such characters make one name look like another.
    """
    hidden = {each for each in text if each != "\n" and unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp")}
    for each in hidden:
        text = text.replace(each, each.encode("unicode_escape").decode())
    return text


def print_line(console: Console, text: str) -> None:
    """Print one line, broken between words on a terminal and nowhere else."""
    console.print(visible(text), soft_wrap=not console.is_terminal)


def print_table(console: Console, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under the names of their columns: fitted to a terminal, in lines of any length elsewhere."""
    kept = [k for k, each in enumerate(columns) if not (each.optional and all(row[k] == NOTHING for row in rows))]
    columns, rows = [columns[k] for k in kept], [[row[k] for k in kept] for row in rows]
    if console.is_terminal:
        console.print("", _fitted(columns, rows), sep="\n")
        return
    head = [f"{column.name} ({column.unit})" if column.unit else column.name for column in columns]
    widths = [max(len(line[k]) for line in (head, *rows)) for k in range(len(columns))]
    for line in (head, *rows):
        cells = (
            cell.rjust(width) if column.number else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        )
        print_line(console, "  ".join(cells).rstrip())


def _fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Table:
    """All columns as wide as they need, but for the first, which is folded where the terminal is too narrow."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(
            Text("\n".join([*column.name.split(), column.unit]).rstrip()),
            justify="right" if column.number else "left",
            no_wrap=number > 0,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    return table


def short_labels(console: Console, files: Sequence[str]) -> Callable[[str], str]:
    """How to call what comes from these files: on a terminal without their folders, where that names each of them."""
    if not console.is_terminal or len({Path(file).name for file in files}) < len(files):
        return str
    return lambda label: Path(label).name


def make_progress(console: Console) -> Progress:
    """One line for each task that is under way, gone when it is done; nothing where there is no terminal."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column as TableColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False, table_column=TableColumn(no_wrap=True, overflow="ellipsis")),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def fixed(value: float | None, digits: int) -> str:
    """A number with so many digits after the point, without the sign of what rounds to zero."""
    if value is None:
        return NOTHING
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def per_atom(energy_std: float | None, n_atoms: int) -> str:
    """The uncertainty of an energy in eV, as meV/atom."""
    return fixed(None if energy_std is None else 1000 * energy_std / n_atoms, 1)


UNCERTAINTY = Column("±", "meV/atom", optional=True)
"""Of an energy, by a model that is a committee: see :func:`per_atom`."""


def formula_of(atoms: Atoms) -> str:
    """See :func:`torch_gptff.graph.formula.formula_of`."""
    from torch_gptff.graph import formula

    return formula.formula_of(atoms)
