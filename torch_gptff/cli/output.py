"""Standard output: tables and progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table as RichTable

    from torch_gptff.report import Table


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


def print_table(console: Console, table: Table) -> None:
    """Print a table: fitted to a terminal, in lines of any length elsewhere."""
    table = table.without_empty_options()
    cells = table.cells(separators=False)
    right = [any(row[k].is_number for row in cells) for k in range(len(table.columns))]
    rows = [[cell.text for cell in row] for row in cells]
    if console.is_terminal:
        console.print("", _fitted(table, rows, right), sep="\n")
        return
    head = [f"{column.name} ({column.unit})" if column.unit else column.name for column in table.columns]
    widths = [max(map(len, texts)) for texts in zip(head, *rows, strict=True)]
    for line in (head, *rows):
        aligned = (
            text.rjust(width) if is_number else text.ljust(width)
            for text, width, is_number in zip(line, widths, right, strict=True)
        )
        print_line(console, "  ".join(aligned).rstrip())


def write_csv(path: Path, table: Table) -> None:
    """Write a table as comma-separated values, whole or not at all."""
    from torch_gptff.io.files import written_atomically

    with written_atomically(path) as temporary:
        temporary.write_text(table.to_csv(), encoding="utf-8")


def _fitted(table: Table, rows: Sequence[Sequence[str]], right: Sequence[bool]) -> RichTable:
    """All columns as wide as they need, but for the first, which is folded where the terminal is too narrow."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    fitted = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for number, (column, is_number) in enumerate(zip(table.columns, right, strict=True)):
        fitted.add_column(
            Text("\n".join([*column.name.split(), column.unit]).rstrip()),
            justify="right" if is_number else "left",
            no_wrap=number > 0,
            overflow="fold",
        )
    for row in rows:
        fitted.add_row(*(Text(visible(text)) for text in row))
    return fitted


def short_labels(console: Console, files: Sequence[str]) -> Callable[[str], str]:
    """Names of files on the screen: on a terminal without their folders, unless two files would have the same name."""
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
