"""Results of many structures in one JSON file, written anew after each, and what they depend on."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import typer

from torch_gptff import __version__
from torch_gptff.errors import RecordError

if TYPE_CHECKING:
    from torch_gptff.potential import Potential
    from torch_gptff.record import Record

R = TypeVar("R", bound="Record")

NO_SETTINGS = frozenset(
    {
        *("context", "files", "folder", "initial", "final", "model", "device"),
        *("out", "json", "extxyz", "csv", "poscar", "report", "resume", "overwrite", "batch", "batch_atoms"),
    }
)
"""Options that no number depends on, or whose content is compared by itself: structures one by one, the model by its
digest."""

LEAST_PAUSE = 20
"""Smallest time between two writes of :meth:`Results.write_soon`, divided by the time that a write takes."""


class Results(Generic[R]):
    """Records by the label of the structure they belong to.

    Args:
        kind: of the records
        path: of the JSON file; ``None`` to keep results in memory alone
        settings: what results depend on, see :func:`dependence`; those of a file to go on
            with must be the same
        resume: keep the results that the file holds already

    Attributes:
        order: labels of the inputs, in their order, of which some may be the same; empty before :meth:`arrange`

    Raises:
        typer.BadParameter: ``resume`` without the file to go on with.
        RecordError: the file to go on with holds something else, or was made with other settings.
    """

    list_name: ClassVar[str] = "results"

    def __init__(self, kind: type[R], path: Path | None, settings: Mapping[str, Any], resume: bool = False) -> None:
        if resume and path is None:
            raise typer.BadParameter("needs --json OUT, the file to go on with", param_hint="--resume")
        self._path = path
        self._settings = dict(settings)
        self._records: dict[str, R] = {}
        self._digests: dict[str, str | None] = {}
        self._aside: dict[str, R] = {}
        self.order: list[str] = []
        self._is_behind = False
        self._written, self._duration = -math.inf, 0.0
        if resume and path is not None and path.exists():
            self._read(kind, path)

    def __contains__(self, label: str) -> bool:
        return label in self._records

    def __getitem__(self, label: str) -> R:
        return self._records[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def items(self) -> list[tuple[str, R]]:
        """Labels and records, in the order in which they came."""
        return list(self._records.items())

    def holds(self, label: str, digest: str) -> bool:
        """Whether the result of an input is there already.

        Args:
            label: of the input
            digest: of its content, by which another input of the same name is told

        Raises:
            RecordError: there is one of this name, and it is of other content.
        """
        if label in self._records and self._digests.get(label) != digest:
            raise RecordError(
                f"{self._path} holds a result of another {label}: what is called so has changed since; name another "
                "file, or do not resume"
            )
        return label in self._records

    def add(self, label: str, record: R, digest: str | None = None) -> None:
        """Take the result of an input in, without writing yet."""
        self._records[label], self._digests[label] = record, digest
        self._is_behind = True

    def write_soon(self) -> None:
        """Write the file, unless it has been written so recently that writing would take most of the time."""
        if monotonic() - self._written >= LEAST_PAUSE * self._duration:
            self.write()

    def write_what_is_missing(self, failures: Sequence[dict[str, str]]) -> None:
        """Write the file if it lacks a result."""
        if self._is_behind:
            self.write(failures)

    def arrange(self, labels: Sequence[str]) -> list[str]:
        """Put records into the order of their labels, and the others aside, without writing yet.

        What is put aside, results of an earlier run whose inputs are not named now, stays in the file, and takes no
        part in tables, in reports and in what follows from all results.

        Returns:
            the labels of what is aside
        """
        records = self._records | self._aside
        self.order = [label for label in labels if label in records]
        self._records = {label: records[label] for label in self.order}
        self._aside = {label: record for label, record in records.items() if label not in self._records}
        return list(self._aside)

    def write(self, failures: Sequence[dict[str, str]] = (), **together: Record) -> None:
        """Write the file.

        Args:
            failures: what failed, told in the file too
            **together: what follows from all results, by name
        """
        from torch_gptff.io.files import written_atomically

        start = monotonic()
        if self._path is not None:
            with written_atomically(self._path) as temporary:
                temporary.write_text(self.to_json(failures, **together) + "\n", encoding="utf-8")
        self._is_behind = False
        self._written = monotonic()
        self._duration = self._written - start

    def to_json(self, failures: Sequence[dict[str, str]] = (), **together: Record) -> str:
        """Return the content of the file, see :meth:`write`."""
        document = {
            "torch_gptff": __version__,
            "settings": self._settings,
            **self.facts(),
            self.list_name: [
                {"file": label, "input_digest": self._digests.get(label), **self.entry(record)}
                for label, record in (*self.items(), *self._aside.items())
            ],
            "failures": list(failures),
            **{name: record.to_dict() for name, record in together.items()},
        }
        return json.dumps(document, allow_nan=False, ensure_ascii=False)

    def facts(self) -> dict[str, Any]:
        """Return what the file says beside settings and results."""
        return {}

    def entry(self, record: R) -> dict[str, Any]:
        """Return the entry of a record in the file."""
        return record.to_dict()

    def _read(self, kind: type[R], path: Path) -> None:
        from torch_gptff.io.identity import difference

        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            settings, results = document["settings"], document[self.list_name]
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise RecordError(f"{path} holds no results to go on with: name another file, or do not resume") from error
        other = difference(settings, json.loads(json.dumps(self._settings)))
        if other is not None:
            raise RecordError(f"{path} was made {other}: name another file")
        try:
            self._records = {result["file"]: kind.from_dict(result) for result in results}
            self._digests = {result["file"]: result.get("input_digest") for result in results}
        except RecordError as error:
            raise RecordError(f"{path}: {error}") from error


def dependence(context: typer.Context, potential: Potential, **more: Any) -> dict[str, Any]:
    """All that stored results must have in common with new ones, in types that JSON knows.

    Args:
        context: of the command: every option of it counts but those in :data:`NO_SETTINGS`
        potential: that computes
        **more: what the command depends on beside its options

    Raises:
        typer.BadParameter: an option is infinite or NaN.
    """
    from torch_gptff.io.identity import identity

    options = {name: _plain(value) for name, value in context.params.items() if name not in NO_SETTINGS}
    for name, value in options.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise typer.BadParameter(f"{value} is not a finite number", param_hint=f"--{name.replace('_', '-')}")
    return {"model": str(context.params.get("model")), **options, **identity(potential), **more}


def _plain(value: Any) -> Any:
    if isinstance(value, Path) and value.is_file():
        import hashlib  # takes a while to import, for --help

        return hashlib.sha256(value.read_bytes()).hexdigest()
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
