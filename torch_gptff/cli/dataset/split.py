"""``torch-gptff dataset split``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from torch_gptff.cli import options, sources

if TYPE_CHECKING:
    from rich.console import Console

    from torch_gptff.datasets import Split
    from torch_gptff.datasets.table import FrameTable

By = Literal["material", "formula", "chemical-system", "random", "element", "given"]
"""Criteria of a split."""

NAMES = {2: ("train", "test"), 3: ("train", "validation", "test")}


def split(
    data: sources.Data,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="JSON file of the split.", show_default=False, callback=options.new_file
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="FILE", help="Check this split of DATA for leaks.", show_default=False),
    ] = None,
    by: Annotated[By, typer.Option("--by", help="What stays together, or is held out.")] = "material",
    fractions: Annotated[
        str, typer.Option(help="Fractions of train and test, or of train, validation and test.")
    ] = "0.8,0.1,0.1",
    elements: Annotated[
        str | None, typer.Option(help="With --by element: elements to hold out, such as Li,O.", show_default=False)
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Number of folds, instead of fractions.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    format: sources.Format = None,
    option: sources.Options = None,
    source: sources.SourceName = None,
) -> None:
    """Divide data for training, validation and test, reproducibly and without leaks; or check such a split."""
    from torch_gptff.cli.output import make_console
    from torch_gptff.datasets import Split, check_leaks
    from torch_gptff.datasets.table import FrameTable

    if (out is None) == (check is None):
        raise typer.BadParameter("name the file to write (--out), or the one to check (--check)")
    if check is None and (by == "element") != (elements is not None):
        raise typer.BadParameter("--by element and --elements go together", param_hint="--elements")
    console = make_console()
    table = FrameTable.of(sources.opened(data, format, option, source, console))
    if check is not None:
        divided = Split.load(check)
        check_leaks(divided, table)
        _describe(console, divided, table, f"{check}: no leaks")
    else:
        assert out is not None
        divided = _made_split(table, by, fractions, elements, folds, seed)
        divided.save(out)
        _describe(console, divided, table, f"-> {out}")


def _made_split(
    table: FrameTable, by: str, fractions: str, elements: str | None, folds: int | None, seed: int
) -> Split:
    """The split that the options ask for.

    Raises:
        typer.BadParameter: fractions or elements that are not such, or options that do not go together.
        SplitError: it cannot be made.
    """
    from torch_gptff.datasets import element_split, given_split, group_split, k_fold, random_split

    group: Any = by.replace("-", " ")
    if by == "given":
        return given_split(table)
    if by == "element":
        assert elements is not None
        return element_split(table, _numbers(elements), seed=seed)
    if folds is not None:
        return k_fold(table, folds, seed, None if by == "random" else group)
    shares = _fractions(fractions)
    return random_split(table, shares, seed) if by == "random" else group_split(table, shares, seed, group)


def _describe(console: Console, split: Split, table: FrameTable, headline: str) -> None:
    """Print the parts: frames, materials and elements in each."""
    from torch_gptff.cli.output import print_line, print_table
    from torch_gptff.report import Column, Table

    columns = (Column("part"), Column("frames"), Column("materials"), Column("elements"))
    rows = []
    for name, indices in split.parts.items():
        formulas = set(table.formula.codes[indices].tolist())
        n_materials = len(set(table.material.codes[indices].tolist()))
        n_elements = len(frozenset().union(*(table.elements[formula] for formula in formulas)))
        rows.append([name, len(indices), n_materials, n_elements])
    print_table(console, Table(columns, rows))
    print_line(console, headline)


def _fractions(text: str) -> dict[str, float]:
    try:
        shares = [float(share) for share in text.split(",")]
        return dict(zip(NAMES[len(shares)], shares, strict=True))
    except (ValueError, KeyError):
        raise typer.BadParameter(f"{text!r}: two or three numbers, as 0.8,0.1,0.1", param_hint="--fractions") from None


def _numbers(elements: str) -> list[int]:
    from ase.data import atomic_numbers

    symbols = [symbol.strip() for symbol in elements.split(",")]
    unknown = [symbol for symbol in symbols if atomic_numbers.get(symbol, 0) == 0]
    if unknown:
        raise typer.BadParameter(f"there is no element {unknown[0]!r}", param_hint="--elements")
    return [atomic_numbers[symbol] for symbol in symbols]
