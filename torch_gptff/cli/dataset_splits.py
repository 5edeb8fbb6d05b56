"""Splits as ``torch-gptff dataset split`` makes and shows them."""

from __future__ import annotations

from typing import Any

import typer
from ase.data import atomic_numbers
from rich.console import Console

from torch_gptff.cli.output import Column, print_line, print_table
from torch_gptff.datasets import Split, element_split, given_split, group_split, k_fold, random_split
from torch_gptff.datasets.table import FrameTable

NAMES = {2: ("train", "test"), 3: ("train", "validation", "test")}


def made_split(table: FrameTable, by: str, fractions: str, elements: str | None, folds: int | None, seed: int) -> Split:
    """The split that the options ask for.

    Raises:
        typer.BadParameter: fractions or elements that are not such, or options that do not go together.
        SplitError: it cannot be made.
    """
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


def describe(console: Console, split: Split, table: FrameTable, headline: str) -> None:
    """Print the parts: frames, materials and elements in each."""
    columns = (Column("part", number=False), Column("frames"), Column("materials"), Column("elements"))
    rows = []
    for name, indices in split.parts.items():
        formulas = set(table.formula.codes[indices].tolist())
        n_materials = len(set(table.material.codes[indices].tolist()))
        n_elements = len(frozenset().union(*(table.elements[formula] for formula in formulas)))
        rows.append([name, f"{len(indices):,}", f"{n_materials:,}", str(n_elements)])
    print_table(console, columns, rows)
    print_line(console, headline)


def _fractions(text: str) -> dict[str, float]:
    try:
        shares = [float(share) for share in text.split(",")]
        return dict(zip(NAMES[len(shares)], shares, strict=True))
    except (ValueError, KeyError):
        raise typer.BadParameter(f"{text!r}: two or three numbers, as 0.8,0.1,0.1", param_hint="--fractions") from None


def _numbers(elements: str) -> list[int]:
    symbols = [symbol.strip() for symbol in elements.split(",")]
    unknown = [symbol for symbol in symbols if atomic_numbers.get(symbol, 0) == 0]
    if unknown:
        raise typer.BadParameter(f"there is no element {unknown[0]!r}", param_hint="--elements")
    return [atomic_numbers[symbol] for symbol in symbols]
