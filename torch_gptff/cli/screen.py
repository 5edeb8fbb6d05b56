"""``torch-gptff screen``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL

What = Literal["relax", "predict", "eos", "elastic", "phonons"]
"""Names of :data:`torch_gptff.workflows.screening.WORKFLOWS`."""


def screen(
    context: typer.Context,
    files: options.Files,
    what: Annotated[What, typer.Option("--what", help="Workflow that each structure goes through.")] = "relax",
    model: options.Model = DEFAULT_MODEL,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the results. Results in it are kept.")
    ] = Path("screened"),
    workers: Annotated[
        int, typer.Option("--workers", help="Number of processes of this machine that share the work.", min=1)
    ] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers do the work, on any machines."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Setting of the workflow, such as [bold]fmax=0.02[/bold]. May be repeated.",
        ),
    ] = None,
    batch_atoms: Annotated[int, typer.Option(help="Number of atoms that a worker computes at once.", min=1)] = 256,
    reference: options.Reference = None,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float32",
) -> None:
    """Apply one workflow to very many structures, on many processes or machines.

    FOLDER receives every result in results.jsonl as it comes, and at the end table.parquet, with a row for each
    structure, and structures.extxyz, with the structures reached, their energies, forces and stresses. A screening
    that was stopped goes on when it is started again.
    """
    from torch_gptff.cli.errors import Failures
    from torch_gptff.cli.output import make_console
    from torch_gptff.cli.screening import Screening, setting_of

    given = dict(map(setting_of, settings or ()))
    screening = Screening(make_console(), files, Failures(context))
    task = {"model": model, "dtype": dtype, "device": device, "reference": reference, **given}
    screening.run(what, out, scheduler, workers, batch_atoms, task)
    if screening.conclude():
        raise typer.Exit(1)
