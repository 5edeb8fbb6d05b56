"""``torch-gptff eos-benchmark``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from torch_gptff.cli.errors import Failures
from torch_gptff.cli.options import (
    Device,
    DType,
    Formulas,
    JsonFile,
    Model,
    Overwrite,
    Precision,
    Reference,
    ReportFile,
    Resume,
)
from torch_gptff.defaults import DEFAULT_MODEL


class CrystalSet(str, Enum):
    """The names of :data:`torch_gptff.workflows.eos.reference.SETS`."""

    unaries = "unaries"
    oxides = "oxides"


def eos_benchmark(
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="The ACWF data: [bold]results-…-AE-average.json[/bold] and the folders [bold]xsf_…[/bold] of "
            "github.com/aiidateam/acwf-verification-scripts.",
            show_default=False,
        ),
    ],
    model: Model = DEFAULT_MODEL,
    reference: Reference = None,
    crystals: Annotated[CrystalSet, typer.Option("--set", help="The crystals to compute.")] = CrystalSet.unaries,
    formulas: Formulas = None,
    json: JsonFile = None,
    report: ReportFile = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    device: Device = None,
    dtype: Precision = DType.float32,
) -> None:
    """Equations of state of hundreds of crystals, against all-electron PBE."""
    from torch_gptff.cli.output import make_console

    console = make_console()
    with console.status(f"loading {model}"):
        from torch_gptff.cli.equations_of_reference import compare_all
        from torch_gptff.cli.model import load_potential

        potential = load_potential(model, device, dtype, reference)
    failures = Failures(context)
    compare_all(context, potential, console, failures)
    if failures:
        raise typer.Exit(1)
