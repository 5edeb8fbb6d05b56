"""``torch-gptff predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from torch_gptff.cli.errors import Failures
from torch_gptff.cli.existing import new_file
from torch_gptff.cli.options import AllowClose, Device, DType, Files, Model, Overwrite, Precision, Reference
from torch_gptff.defaults import DEFAULT_MODEL


def predict(
    context: typer.Context,
    files: Files,
    model: Model = DEFAULT_MODEL,
    json: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="OUT",
            help="Write all values to a JSON file, or to standard output for '-'.",
            callback=new_file,
        ),
    ] = None,
    extxyz: Annotated[
        Path | None,
        typer.Option(
            "--extxyz",
            metavar="OUT",
            help="Write structures with energy, forces and stress as extxyz.",
            callback=new_file,
        ),
    ] = None,
    overwrite: Overwrite = False,
    reference: Reference = None,
    allow_close: AllowClose = False,
    device: Device = None,
    dtype: Precision = DType.float32,
) -> None:
    """Predict energy, forces and stress."""
    from torch_gptff.cli.output import make_console, make_progress, print_table, short_labels

    if extxyz is not None and extxyz.suffix not in (".extxyz", ".xyz"):
        raise typer.BadParameter(f"{extxyz} must end in .extxyz or .xyz", param_hint="--extxyz")
    console = make_console()
    with console.status(f"loading {model}"):
        from torch_gptff.cli.model import load_potential
        from torch_gptff.cli.predictions import COLUMNS, evaluate, to_json, with_results
        from torch_gptff.io.files import written_atomically
        from torch_gptff.io.structures import write_structures

        potential = load_potential(model, device, dtype, reference)

    short = short_labels(console, files)
    failures = Failures(context)
    results = []
    with make_progress(console) as progress:
        task = progress.add_task("")
        for number, file in enumerate(files, start=1):
            progress.update(task, description=f"{number}/{len(files)} {short(file)}")
            results += evaluate(potential, file, failures)

    if extxyz is not None and results:
        write_structures(extxyz, [with_results(result) for result in results])
    if json is not None:
        document = to_json(results, failures, model, dtype)
        if json == "-":
            typer.echo(document)
        else:
            with written_atomically(json) as temporary:
                temporary.write_text(document + "\n")
    if results and json != "-":
        print_table(console, COLUMNS, [result.row(short(result.label)) for result in results])
    if failures:
        raise typer.Exit(1)
