"""Table of results, with a row for each structure and a column for each number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ase import Atoms

from torch_gptff.graph.formula import formula_of
from torch_gptff.io.files import written_atomically

ROWS = 1000
"""Number of rows that are written at once."""


def write_table(path: str | Path, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Write rows as they come to a Parquet file, whole or not at all.

    Args:
        path: the file
        rows: rows from :func:`row_of`
        columns: columns from :func:`columns_of`
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"text": pa.string(), "number": pa.float64(), "count": pa.int64(), "flag": pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    rows = iter(rows)
    with written_atomically(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        while some := list(islice(rows, ROWS)):
            arrays = {name: [row.get(name) for row in some] for name in columns}
            writer.write_table(pa.table(arrays, schema=schema))


def row_of(label: str, key: str, atoms: Atoms, document: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a structure: label, formula, number of atoms, and every number, text and flag of its result."""
    failed = document["record"] == "Failure"
    row = {
        "label": label,
        "key": key,
        "formula": formula_of(atoms),
        "n_atoms": len(atoms),
        "status": "failed" if failed else "done",
    }
    return {**row, **dict(_scalars("", {**document, **document.get("derived", {})}))}


def columns_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The columns of rows, and the type of each: text, number, count or flag."""
    columns: dict[str, str] = {}
    for row in rows:
        for name, value in row.items():
            kind = _kind(value)
            if kind is not None and columns.get(name, kind) != kind:
                kind = "number" if {kind, columns[name]} == {"number", "count"} else "text"
            if kind is not None:
                columns[name] = kind
    return columns


def _scalars(prefix: str, document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if name in ("record", "units", "derived"):
            continue
        if name == "remarks":
            yield prefix + name, "; ".join(value)
        elif _kind(value) is not None:
            yield prefix + name, value
        elif isinstance(value, list) and value and isinstance(value[0], dict) and "record" in value[0]:
            yield from _scalars(f"{prefix}{name}_", {**value[0], **value[0].get("derived", {})})


def _kind(value: Any) -> str | None:
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int):
        return "count"
    if isinstance(value, float):
        return "number"
    return "text" if isinstance(value, str) else None
