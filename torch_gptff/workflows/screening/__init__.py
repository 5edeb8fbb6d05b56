"""One workflow for very many structures, on any number of processes and machines."""

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
