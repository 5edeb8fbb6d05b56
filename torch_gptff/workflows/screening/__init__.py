"""One workflow for very many structures, on any number of processes and machines."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.workflows.screening.driver import Screened, screen
    from torch_gptff.workflows.screening.results import ScreeningResults
    from torch_gptff.workflows.screening.table import write_table
    from torch_gptff.workflows.screening.task import WORKFLOWS, Failure, StructurePrediction, Task

__all__ = [
    "WORKFLOWS",
    "Failure",
    "Screened",
    "ScreeningResults",
    "StructurePrediction",
    "Task",
    "screen",
    "write_table",
]

import_lazily(
    __name__,
    {
        ".driver": "Screened screen",
        ".results": "ScreeningResults",
        ".table": "write_table",
        ".task": "WORKFLOWS Failure StructurePrediction Task",
    },
)
