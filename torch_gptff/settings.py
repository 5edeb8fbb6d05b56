"""Frozen dataclasses as configuration: from a table of plain values and back, with unknown keys and types refused."""

from __future__ import annotations

import math
from collections import abc
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from reprlib import Repr
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from torch_gptff.errors import ConfigError

T = TypeVar("T")


def from_table(settings: type[T], table: Mapping[str, Any], where: str = "") -> T:
    """An instance of a dataclass from a table, nested ones from nested tables, tuples from lists of tables or values.

    A number may be given as text, as YAML gives ``1e-3``, and a whole number as ``1e6``.

    Args:
        settings: the dataclass
        table: values by field name; a field that is left out keeps its default
        where: what the keys are part of, for messages

    Raises:
        ConfigError: names an unknown key and the nearest known one, or a value of another type or out of range.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where or settings.__name__} must be a table of settings; got {_SHORT.repr(table)}")
    known = {field.name for field in fields(settings)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
            raise ConfigError(f"unknown key {_path(where, key)!r}: {advice}")
    hints = get_type_hints(settings)
    values = {key: _of_type(hints[key], value, _path(where, key)) for key, value in table.items()}
    try:
        return settings(**values)
    except TypeError as error:
        raise ConfigError(f"{where or settings.__name__}: {error}") from error


def check_types(settings: Any) -> None:
    """Refuse values of other types than a dataclass declares, at the beginning of its ``__post_init__``.

    Whole numbers become floats, and lists become tuples, where those are declared.

    Raises:
        ConfigError: names the field and what it must be.
    """
    hints = get_type_hints(type(settings))
    for field in fields(settings):
        value = _of_type(hints[field.name], getattr(settings, field.name), field.name)
        object.__setattr__(settings, field.name, value)


def _of_type(hint: Any, value: Any, where: str) -> Any:
    """The value as the declared type, or a :class:`ConfigError`; as it is where the type is none of those here."""
    if hint is Any:
        return value
    if hint in _SCALARS:
        return _SCALARS[hint](value, where)
    if is_dataclass(hint):
        return _of_dataclass(hint, value, where)  # type: ignore[arg-type]
    origin, of = get_origin(hint), get_args(hint)
    if NoneType in of:
        return None if value is None else _of_type(next(each for each in of if each is not NoneType), value, where)
    if origin is tuple:
        return _tuple(of, value, where)
    if origin is not abc.Mapping:
        return value
    if not isinstance(value, Mapping):
        raise _wrong(where, "a table", value)
    return {_text(key, f"the keys of {where}"): _of_type(of[1], each, _path(where, key)) for key, each in value.items()}


def _of_dataclass(hint: type, value: Any, where: str) -> Any:
    """A table; or, for a dataclass that needs one value, that value alone."""
    if isinstance(value, hint):
        return value
    needed = [field.name for field in fields(hint) if field.default is MISSING and field.default_factory is MISSING]
    if len(needed) == 1 and not isinstance(value, Mapping):
        value = {needed[0]: value}
    return from_table(hint, value, where)


def _tuple(of: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong(where, "a list", value)
    if of[-1] is Ellipsis:
        of = (of[0],) * len(value)
    elif len(of) != len(value):
        raise _wrong(where, f"a list of {len(of)}", value)
    return tuple(_of_type(each, item, f"{where}[{n}]") for n, (each, item) in enumerate(zip(of, value, strict=True)))


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(where, "true or false", value)
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong(where, "text", value)
    return value


def _number(value: Any, where: str) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise _wrong(where, "a finite number", value)
    return number


def _whole(value: Any, where: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        number = _number(value, where)
    except ConfigError:
        number = math.nan
    if not number.is_integer():
        raise _wrong(where, "a whole number", value)
    return int(number)


_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 80

_SCALARS = {bool: _flag, str: _text, float: _number, int: _whole}


def _wrong(where: str, must: str, value: Any) -> ConfigError:
    return ConfigError(f"{where} must be {must}; got {_SHORT.repr(value)}")


def _path(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)
