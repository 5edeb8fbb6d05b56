"""Records of results, which save to JSON and reload."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from ase import Atoms
from monty.json import MSONable

from torch_gptff import __version__
from torch_gptff.errors import GPTFFError, RecordError
from torch_gptff.graph.formula import formula_of
from torch_gptff.io.files import written_atomically
from torch_gptff.notebook import facts_html
from torch_gptff.report.style import with_unit
from torch_gptff.report.tables import Column, Table, written

if TYPE_CHECKING:
    from pandas import DataFrame

Self = TypeVar("Self", bound="Record")

FORMULA = Column("formula", value=lambda record: formula_of(record.atoms))
"""Column of the formula of a record's ``atoms``."""


def uncertainty(energy_std: Callable[[Any], float | None]) -> Column:
    """The column of the expected errors of energies, which only committees of models have.

    Args:
        energy_std: of a record, eV per atom
    """

    def value(record: Any) -> float | None:
        std = energy_std(record)
        return None if std is None else 1000 * std

    return Column("±", "meV/atom", 1, value, optional=True)


def verdict(is_good: bool) -> str:
    """``"yes"``, or ``"NO"`` where a reader should look twice."""
    return "yes" if is_good else "NO"


class Record(MSONable):
    """Base of frozen dataclasses that hold results. They are MSON, so that jobflow and atomate2 can store them.

    Fields may be numbers, strings, paths, ``None``, numpy arrays of finite numbers, ASE ``Atoms`` (elements, positions,
    cell, periodic directions and masses), other records, and tuples and dictionaries of these. The JSON document states
    the fields, the derived values that a reader of the file may want, and the units; only fields are read back.

    Attributes:
        derived: names of properties that are written beside the fields, as nothing where they do not exist
        units: of fields and derived values, by name
        columns: of a table of such records, on a terminal and in reports
    """

    derived: ClassVar[tuple[str, ...]] = ()
    units: ClassVar[dict[str, str]] = {}
    columns: ClassVar[tuple[Column, ...]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Every value, in types that JSON knows.

        Raises:
            RecordError: a number is not finite.
        """
        values = {field.name: _plain(getattr(self, field.name), field.name) for field in fields(self)}  # type: ignore[arg-type]
        document: dict[str, Any] = {"record": type(self).__name__, **values}
        if self.derived:
            document["derived"] = {name: self._derived_value(name) for name in self.derived}
        if self.units:
            document["units"] = dict(self.units)
        return document

    def as_dict(self) -> dict[str, Any]:
        """:meth:`to_dict` with the keys of MSON, by which ``monty.json.MontyDecoder`` builds the record again.

        Raises:
            RecordError: a number is not finite.
        """
        return {
            "@module": type(self).__module__,
            "@class": type(self).__name__,
            "@version": __version__,
            **self.to_dict(),
        }

    def _derived_value(self, name: str) -> Any:
        try:
            return _plain(getattr(self, name), name)
        except GPTFFError:
            return None

    @classmethod
    def from_dict(cls: type[Self], document: dict[str, Any]) -> Self:
        """The record of which :meth:`to_dict` or :meth:`as_dict` gave the document.

        Raises:
            RecordError: the document is of another record, or lacks a field.
        """
        kind = document.get("record") if isinstance(document, dict) else None
        if kind != cls.__name__:
            raise RecordError(f"this is no {cls.__name__} but {kind or 'no record of a result at all'}")
        hints = get_type_hints(cls)
        values = {}
        for field in fields(cls):  # type: ignore[arg-type]
            if field.name not in document and field.default is not MISSING:
                continue  # the file was written before the record had this field
            if field.name not in document:
                raise RecordError(f"the record of {cls.__name__} lacks {field.name!r}: the file is damaged or too old")
            try:
                values[field.name] = _typed(document[field.name], hints[field.name])
            except (TypeError, KeyError, AttributeError) as error:
                raise RecordError(f"{field.name!r} of {cls.__name__} cannot be read: {error}") from error
        return cls(**values)

    def _repr_html_(self) -> str:
        """The columns of a table of such records, or else numbers and texts, in a notebook."""
        if self.columns:
            table = Table.of([("", self)], self.columns, "", detail=True)
            cells = [cell.text for cell in table.cells()[0][1:]]
            heads = [with_unit(column.name, column.unit) for column in table.columns[1:]]
            return facts_html(type(self).__name__, dict(zip(heads, cells, strict=True)))
        told = {name: written(value) for name, value in _row(self).items()}
        return facts_html(type(self).__name__, told)

    def to_dataframe(self) -> DataFrame:
        """The record as a table of one row, see :func:`to_dataframe`."""
        return to_dataframe([self])

    def save(self, path: str | PathLike[str]) -> None:  # type: ignore[override]  # monty's own may write a pickle
        """Write a JSON file, whole or not at all."""
        document = {"torch_gptff": __version__, **self.to_dict()}
        with written_atomically(Path(path)) as temporary:
            temporary.write_text(json.dumps(document, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls: type[Self], path: str | PathLike[str]) -> Self:
        """Read the file that :meth:`save` wrote.

        Raises:
            RecordError: the file holds something else.
        """
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8-sig"))
            return cls.from_dict(document)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RecordError(f"{path} is no JSON file: {error}") from error
        except RecordError as error:
            raise RecordError(f"{path}: {error}") from error


def to_dataframe(records: Mapping[str, Record] | Sequence[Record]) -> DataFrame:
    """Records of one kind as a table of pandas, with the columns of :attr:`Record.columns`, ``"energy (eV/atom)"``.
    Records without columns have those of their numbers and texts.

    Args:
        records: by labels, which become the index; or one after the other

    Raises:
        RecordError: pandas is not installed.
    """
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise RecordError("a table needs pandas: pip install pandas") from error
    labels = list(records) if isinstance(records, Mapping) else None
    rows = [_row(record) for record in (records.values() if isinstance(records, Mapping) else records)]
    return DataFrame(rows, index=labels)


def _row(record: Record) -> dict[str, Any]:
    if record.columns:
        return {with_unit(column.name, column.unit): column.of(record) for column in record.columns}
    values = {field.name: getattr(record, field.name) for field in fields(record)}  # type: ignore[arg-type]
    values |= {name: record._derived_value(name) for name in record.derived}
    return {
        with_unit(name, record.units.get(name, "")): value
        for name, value in values.items()
        if value is None or isinstance(value, bool | int | float | str)
    }


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Atoms):
        return _plain_atoms(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(each, f"{name}[{key!r}]") for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each, name) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind in "fc" and not np.isfinite(value).all():
            raise RecordError(f"{name} is not finite, and JSON has no such numbers")
        return value.tolist()
    if isinstance(value, float) and not np.isfinite(value):
        raise RecordError(f"{name} is {value}, and JSON has no such number")
    return value


def _plain_atoms(atoms: Atoms) -> dict[str, Any]:
    masses = {"masses": atoms.get_masses().tolist()} if atoms.has("masses") else {}
    return {
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell.array.tolist(),
        "pbc": atoms.pbc.tolist(),
        **masses,
    }


def _typed(value: Any, hint: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None:
            return None
        (hint,) = [each for each in arguments if each is not NoneType]
        return _typed(value, hint)
    if origin is tuple:
        inner = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_typed(each, kind) for each, kind in zip(value, inner, strict=True))
    if origin is dict:
        key, kind = arguments
        return {key(name): _typed(each, kind) for name, each in value.items()}
    if origin is np.ndarray or hint is np.ndarray:
        return np.array(value)
    if hint is Atoms:
        return Atoms(**value)
    if hint is Path:
        return Path(value)
    if is_dataclass(hint) and isinstance(hint, type) and issubclass(hint, Record):
        return hint.from_dict(value)
    return value
