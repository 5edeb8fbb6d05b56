"""The frame of reports on records: an overview of all, and a section for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from torch_gptff.graph.formula import formula_of
from torch_gptff.record import Record
from torch_gptff.report import Named, Report
from torch_gptff.report.style import new_figure
from torch_gptff.workflows.drawing.words import subscripted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

R = TypeVar("R", bound=Record)

Labelled: TypeAlias = Mapping[str, R] | Sequence[tuple[str, R]]
"""Records by their labels, or pairs of a label and a record."""

MOST_SECTIONS = 20
"""Largest number of records with a section of their own; the overview has all."""


class RecordsReport(Report, Generic[R]):
    """A report on records of one kind. Without any record it says that there is no result.

    Args:
        title: title of the page
        records: labels and records
        about: how the records were computed, shown below the title
        nothing: what the page says if there is no record

    Attributes:
        labelled: labels and records, as pairs. A record with a structure is named by its formula, and the label given
            is a tooltip
    """

    def __init__(self, title: str, records: Labelled[R], about: str = "", nothing: str = "There is no result.") -> None:
        super().__init__(title, about)
        pairs = list(records.items() if isinstance(records, Mapping) else records)
        self.labelled = list(zip(names(pairs), (record for _, record in pairs), strict=True))
        if not self.labelled:
            self.note(nothing)

    def overview(
        self,
        caption: str = "",
        heading: str = "Overview",
        rows: Callable[[R], Sequence[Record]] = lambda record: (record,),
    ) -> RecordsReport[R]:
        """Add a table of all records, with their own columns.

        Args:
            caption: text below the table
            heading: heading above the table
            rows: gives the records in the rows of the table that belong to one record
        """
        table = [(label, row) for label, record in self.labelled for row in rows(record)]
        if table:
            named = all(isinstance(label, Named) for label, _ in table)  # by formulas, which need no second column
            columns = [column for column in table[0][1].columns if not (named and column.name == "formula")]
            self.heading(heading).records(table, columns, caption)
        return self

    def remarks(self, of: Callable[[R], Iterable[str]]) -> RecordsReport[R]:
        """Add a note for each remark on a record, with the label of the record.

        Args:
            of: gives the remarks on a record, each without a full stop
        """
        for label, record in self.labelled:
            for remark in of(record):
                self.note(f"{label}: {remark}.")
        return self

    def drawings(self, record: R, figures: Iterable[tuple[Callable[[Axes, R], None], str]]) -> RecordsReport[R]:
        """Add small figures of a record.

        Args:
            record: the record
            figures: functions that draw it on axes, each with its caption
        """
        for draw, caption in figures:
            figure, axes = new_figure(4.4, 3.2)
            draw(axes, record)
            self.figure(figure, caption)
        return self

    def sections(
        self,
        write: Callable[[RecordsReport[R], str, R], None],
        heading: Callable[[str, R], str] = lambda label, record: label,
        of: Callable[[R], bool] = lambda record: True,
    ) -> RecordsReport[R]:
        """Add a section for each of the first :data:`MOST_SECTIONS` records.

        Args:
            write: adds the section of a record, below its heading
            heading: heading of the section, by default the label
            of: whether a record has a section
        """
        chosen = [(label, record) for label, record in self.labelled if of(record)]
        if len(chosen) > MOST_SECTIONS:
            self.text(f"The first {MOST_SECTIONS} of {len(chosen)} have a section below; the overview has all.")
        for label, record in chosen[:MOST_SECTIONS]:
            self.heading(heading(label, record))
            write(self, label, record)
        return self


def names(labelled: Sequence[tuple[str, Record]]) -> list[str]:
    """Names of records for a reader: the formula, with the file's name behind it where several have this formula, and
    with the label as a tooltip. For a record without a structure the label itself, of a path the name of the file.

    Args:
        labelled: labels and records
    """
    formulas = [_formula(record) for _, record in labelled]
    stems = [_stem(label) for label, _ in labelled]
    files = Counter(PurePath(label).name for label, _ in labelled)
    of_formula, of_both = Counter(formulas), Counter(zip(formulas, stems, strict=True))
    found: list[str] = []
    for (label, _), formula, stem in zip(labelled, formulas, stems, strict=True):
        if formula is None:
            found.append(_file_name(label) if files[PurePath(label).name] == 1 else label)
        elif of_formula[formula] == 1:
            found.append(Named(subscripted(formula), label))
        else:
            found.append(Named(f"{subscripted(formula)}, {stem if of_both[formula, stem] == 1 else label}", label))
    return found


def _file_name(label: str) -> str:
    name = PurePath(label).name
    return label if name in ("", label) else Named(name, label)


def _stem(label: str) -> str:
    """Name of a file without its folder and ending, with the number of the frame: ``"md@3"``."""
    path, at, frame = PurePath(label).name.partition("@")
    return PurePath(path).stem + at + frame


def _formula(record: Any) -> str | None:
    """The formula of the structure of a record; ``None`` where there is none."""
    if isinstance(formula := getattr(record, "formula", None), str):
        return formula
    atoms = getattr(record, "atoms", getattr(record, "final", None))
    return None if atoms is None else formula_of(atoms)
