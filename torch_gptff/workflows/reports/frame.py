"""The frame of reports on records: an overview of all, and a section for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar

from torch_gptff.record import Record
from torch_gptff.report import Report

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
        labelled: labels and records, as pairs
    """

    def __init__(self, title: str, records: Labelled[R], about: str = "", nothing: str = "There is no result.") -> None:
        super().__init__(title, about)
        self.labelled = list(records.items() if isinstance(records, Mapping) else records)
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
            self.heading(heading).records(table, table[0][1].columns, caption)
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
