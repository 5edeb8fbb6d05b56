"""``torch-gptff evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from torch_gptff.cli.dataset import Data, Format, Options, SourceName
from torch_gptff.cli.existing import new_file
from torch_gptff.cli.options import AllowClose, Device, DType, Formulas, Overwrite, Precision, Reference


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A checkpoint: [bold]gptff-universal[/bold], [bold]gptff-v1[/bold], [bold]gptff-v2[/bold], or a path.",
            show_default=False,
        ),
    ],
    data: Data,
    format: Format = None,
    option: Options = None,
    source: SourceName = None,
    split: Annotated[
        Path | None,
        typer.Option("--split", metavar="FILE", help="Take a part of this split of DATA.", show_default=False),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            help="Which part: of the split, [bold]test[/bold] by default; without one, of those that the files name.",
            show_default=False,
        ),
    ] = None,
    formulas: Formulas = None,
    align: Annotated[
        bool,
        typer.Option("--align", help="Give the energies after a constant for each element, fitted to them, too."),
    ] = False,
    by_element: Annotated[bool, typer.Option("--by-element", help="Print the errors by element, too.")] = False,
    json: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="OUT",
            help="Write the errors to a JSON file, or to standard output for '-'.",
            callback=new_file,
        ),
    ] = None,
    arrays: Annotated[
        Path | None,
        typer.Option(
            "--arrays",
            metavar="OUT",
            help="Write every known and predicted value as .npz.",
            show_default=False,
            callback=new_file,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="OUT", help="Write a page with plots as HTML.", show_default=False, callback=new_file
        ),
    ] = None,
    overwrite: Overwrite = False,
    card: Annotated[
        bool, typer.Option("--card", help="Add to the page what the checkpoint says of itself: a model card.")
    ] = False,
    reference: Reference = None,
    allow_close: AllowClose = False,
    device: Device = None,
    dtype: Precision = DType.float32,
) -> None:
    """Compare a model with data: errors of energy, forces and stress."""
    from torch_gptff.cli.output import make_console

    if card and report is None:
        raise typer.BadParameter("name the page that it is part of (--report)", param_hint="--card")
    if report is not None and report.suffix != ".html":
        raise typer.BadParameter(f"{report} must end in .html", param_hint="--report")
    if arrays is not None and arrays.suffix != ".npz":
        raise typer.BadParameter(f"{arrays} must end in .npz", param_hint="--arrays")
    console = make_console()
    with console.status(f"loading {model}"):
        from torch_gptff.cli.evaluations import (
            evaluated,
            hint_at_reference,
            print_evaluation,
            to_document,
            write_report,
        )
        from torch_gptff.cli.model import load_potential
        from torch_gptff.training.evaluation_files import write_arrays, write_summary

        potential = load_potential(model, device, dtype, reference)

    wanted = None if formulas is None else frozenset(formulas.read_text(encoding="utf-8-sig").split())
    evaluation = evaluated(potential, data, format, option, source, split, part, wanted, align, console, allow_close)
    document = to_document(evaluation, model, dtype, data, part if split is None else part or "test")
    if arrays is not None:
        write_arrays(evaluation, arrays)
    if json is not None and json != "-":
        write_summary(Path(json), document)
    if report is not None:
        write_report(report, evaluation, potential if card else None, document)
    if json == "-":
        from json import dumps

        typer.echo(dumps(document, ensure_ascii=False, allow_nan=False))
    else:
        print_evaluation(console, evaluation, by_element)
    hint_at_reference(evaluation)
