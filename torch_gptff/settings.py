"""Frozen dataclasses as configuration: from a table of plain values and back, with unknown keys rejected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_type_hints

from torch_gptff.errors import ConfigError

T = TypeVar("T")


def from_table(settings: type[T], table: Mapping[str, Any], where: str = "") -> T:
    """An instance of a dataclass from a table, nested ones from nested tables, tuples from lists of tables or values.

    Args:
        settings: the dataclass
        table: values by field name; a field that is left out keeps its default
        where: what the keys are part of, for messages

    Raises:
        ConfigError: names an unknown key and the nearest known one, or a value out of range.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where or settings.__name__} must be a table of settings; got {table!r}")
    known = {field.name for field in fields(settings)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
            raise ConfigError(f"unknown key {_path(where, key)!r}: {advice}")
    hints = get_type_hints(settings)
    values = {}
    for key, value in table.items():
        values[key] = _of_type(hints[key], value, _path(where, key))
    try:
        return settings(**values)
    except TypeError as error:
        raise ConfigError(f"{where or settings.__name__}: {error}") from error


def _of_type(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        return from_table(hint, value, where)  # type: ignore[arg-type]
    if not isinstance(value, list):
        return value
    (of, *_) = get_args(hint) or (None,)
    tables = (
        _of_type(of, each, f"{where}[{n}]") if isinstance(each, Mapping) else each for n, each in enumerate(value)
    )
    return tuple(tables)


def _path(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)
