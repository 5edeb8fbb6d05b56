"""One workflow for very many structures, on any number of processes and machines."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.workflows.screening.driver import Screened, screen
    from torch_gptff.workflows.screening.executors import open_executor
    from torch_gptff.workflows.screening.folder import screen_to_folder
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
    "open_executor",
    "screen",
    "screen_to_folder",
    "write_table",
]

import_lazily(
    __name__,
    {
        ".driver": "Screened screen",
        ".executors": "open_executor",
        ".folder": "screen_to_folder",
        ".results": "ScreeningResults",
        ".table": "write_table",
        ".task": "WORKFLOWS Failure StructurePrediction Task",
    },
)
