"""``torch-gptff evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from torch_gptff.cli import options, sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console
    from torch_geometric.data import Data

    from torch_gptff.evaluation import Evaluation
    from torch_gptff.potential import Potential


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A checkpoint: [bold]gptff-universal[/bold], [bold]gptff-v1[/bold], [bold]gptff-v2[/bold], or a path.",
            show_default=False,
        ),
    ],
    data: sources.Data,
    format: sources.Format = None,
    option: sources.Options = None,
    source: sources.SourceName = None,
    split: Annotated[
        Path | None,
        typer.Option(
            "--split",
            metavar="FILE",
            help="File of a split of DATA, of which one part is evaluated.",
            show_default=False,
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            help="Part that is evaluated: of the split ([bold]test[/bold] by default), or as the files name them.",
            show_default=False,
        ),
    ] = None,
    formulas: options.Formulas = None,
    align: Annotated[
        bool,
        typer.Option("--align", help="Also give the errors of energies after a fitted constant for each element."),
    ] = False,
    by_element: Annotated[bool, typer.Option("--by-element", help="Also print the errors by element.")] = False,
    json: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="OUT",
            help="JSON file of the errors, or '-' for standard output.",
            callback=options.new_file,
        ),
    ] = None,
    arrays: Annotated[
        Path | None,
        typer.Option(
            "--arrays",
            metavar="OUT",
            help="File of every known and predicted value, as .npz.",
            show_default=False,
            callback=options.new_file,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="OUT",
            help="HTML file of a report with plots.",
            show_default=False,
            callback=options.new_file,
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    card: Annotated[
        bool, typer.Option("--card", help="Add a model card to the report: what the checkpoint states about itself.")
    ] = False,
    reference: options.Reference = None,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float32",
) -> None:
    """Compare a model with data: errors of energy, forces and stress."""
    from torch_gptff.cli.errors import tell
    from torch_gptff.cli.output import make_console
    from torch_gptff.evaluation.files import summary, write_arrays, write_summary
    from torch_gptff.evaluation.remarks import remark_on_reference
    from torch_gptff.evaluation.report import evaluation_report

    if card and report is None:
        raise typer.BadParameter("name the page that it is part of (--report)", param_hint="--card")
    if report is not None and report.suffix != ".html":
        raise typer.BadParameter(f"{report} must end in .html", param_hint="--report")
    if arrays is not None and arrays.suffix != ".npz":
        raise typer.BadParameter(f"{arrays} must end in .npz", param_hint="--arrays")
    console = make_console()
    with console.status(f"loading {model}"):
        potential = options.load_potential(model, device, dtype, reference)
    wanted = None if formulas is None else frozenset(formulas.read_text(encoding="utf-8-sig").split())
    evaluation = _evaluated(potential, data, format, option, source, split, part, wanted, align, console, allow_close)
    if split is not None:
        part = part or "test"
    document = {"model": model, "dtype": dtype, "data": list(data), "part": part, **summary(evaluation)}
    if arrays is not None:
        write_arrays(evaluation, arrays)
    if json is not None and json != "-":
        write_summary(Path(json), document)
    if report is not None:
        evaluation_report(evaluation, document, potential if card else None).save(report)
    if json == "-":
        from json import dumps

        typer.echo(dumps(document, ensure_ascii=False, allow_nan=False))
    else:
        print_evaluation(console, evaluation, by_element)
    remark = remark_on_reference(evaluation)
    if remark is not None:
        tell("warning", remark)


def print_evaluation(console: Console, evaluation: Evaluation, by_element: bool) -> None:
    """Print the errors, by source where there are several, and by element if asked to."""
    from ase.data import chemical_symbols

    from torch_gptff.cli.output import print_line, print_table
    from torch_gptff.datasets.statistics import MOST_SOURCES
    from torch_gptff.evaluation.report import error_table, group_table, property_table

    counts = evaluation.counts
    print_line(console, f"{counts['frames']:,} frames of {counts['atoms']:,} atoms")
    print_table(console, error_table(evaluation))
    if evaluation.properties:
        print_table(console, property_table(evaluation))
    groups = evaluation.by_source()
    if len(groups) > MOST_SOURCES:
        print_line(console, f"{len(groups):,} sources (--json lists them)")
    elif len(groups) > 1:
        print_table(console, group_table("source", groups))
    if by_element:
        elements = {chemical_symbols[number]: group for number, group in evaluation.by_element().items()}
        print_table(console, group_table("element", elements))


def _evaluated(
    potential: Potential,
    data: Sequence[str],
    format: str | None,
    options: Sequence[str] | None,
    source: str | None,
    split: Path | None,
    part: str | None,
    formulas: frozenset[str] | None,
    align: bool,
    console: Console,
    allow_close: bool,
) -> Evaluation:
    """Evaluate the frames that the options name. Without a split, frames are read as they are predicted.

    Raises:
        SplitError: no such part.
        BadParameter: no frame has one of the formulas.
        CloseAtomsError: atoms of a frame are too close, and ``allow_close`` is not set.
        DatasetError, StructureError: see :func:`~torch_gptff.evaluation.evaluate`.
    """
    from torch_gptff.cli.output import make_progress
    from torch_gptff.datasets import Split, read_sources
    from torch_gptff.datasets.split import frames_of_part
    from torch_gptff.errors import SplitError
    from torch_gptff.evaluation import evaluate
    from torch_gptff.graph.contacts import checked_frames

    shift: Any = "elements" if align else None
    if split is None:
        with sources.watched(data, format, options, source, console) as found:
            frames: Iterable[Data] = read_sources(found)
            frames = frames if part is None else frames_of_part(frames, part)
            frames = frames if formulas is None else _of_formulas(frames, formulas)
            return evaluate(potential, checked_frames(frames, ", ".join(data), allow_close), energy_shift=shift)
    parts = Split.load(split).of(sources.opened(data, format, options, source, console))
    name = part or "test"
    if name not in parts:
        raise SplitError(f"{split} has no part {name!r}; it has {', '.join(parts)}")
    chosen = parts[name] if formulas is None else list(_of_formulas(parts[name], formulas))
    for _ in checked_frames(chosen, f"part {name} of {split}", allow_close):
        pass
    with make_progress(console) as progress:
        total = len(chosen)
        task = progress.add_task(f"0/{total:,} frames")

        def show(done: int) -> None:
            progress.update(task, description=f"{done:,}/{total:,} frames")

        return evaluate(potential, chosen, energy_shift=shift, progress=show)


def _of_formulas(frames: Iterable[Data], formulas: frozenset[str]) -> Iterator[Data]:
    """The frames whose reduced formula is one of these."""
    from torch_gptff.graph.formula import reduced_formula

    found = False
    for frame in frames:
        if reduced_formula(frame.z.numpy()) in formulas:
            found = True
            yield frame
    if not found:
        raise typer.BadParameter("no frame has one of these formulas", param_hint="--formulas")
