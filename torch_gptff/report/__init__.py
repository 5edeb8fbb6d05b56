"""Reports: self-contained HTML pages of text, numbers, tables and pictures, and the plots that go into them."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.report.document import Report
    from torch_gptff.report.tables import Column, Named, Table, written

__all__ = ["Column", "Named", "Report", "Table", "written"]

import_lazily(
    __name__,
    {
        ".document": "Report",
        ".tables": "Column Named Table written",
    },
)
