"""Evaluations as ``torch-gptff evaluate`` makes and shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from ase.data import chemical_symbols
from rich.console import Console
from torch_geometric.data import Data

from torch_gptff.cli.contacts import checked
from torch_gptff.cli.dataset_sources import opened, watched
from torch_gptff.cli.errors import tell
from torch_gptff.cli.options import DType
from torch_gptff.cli.output import NOTHING, Column, fixed, make_progress, print_line, print_table
from torch_gptff.datasets import Split, read_sources
from torch_gptff.datasets.statistics import MOST_SOURCES
from torch_gptff.errors import SplitError
from torch_gptff.graph.formula import reduced_formula
from torch_gptff.training.evaluation import Evaluation, GroupErrors, evaluate
from torch_gptff.training.evaluation_files import summary
from torch_gptff.training.evaluation_report import QUANTITIES, Quantity, add_evaluation, add_headline, compared

if TYPE_CHECKING:
    from torch_gptff.potential import Potential

OTHER_REFERENCE = 0.2
"""Another reference is hinted at where shifts of the elements leave less than this of the error of the energies ..."""

FRAMES_PER_SHIFT = 5
"""... and where there are at least so many frames for each of them."""

DIGITS = {"meV/atom": 1, "meV/Å": 1, "GPa": 3}


def evaluated(
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
    allow_close: bool = False,
) -> Evaluation:
    """The evaluation of what the options name. Without a split, frames are read as they are predicted.

    Raises:
        SplitError: no such part.
        BadParameter: no frame has one of the formulas.
        CloseAtomsError: atoms of a frame are nearer than a third of touching, and ``allow_close`` is not set.
        DatasetError, StructureError: see :func:`~torch_gptff.training.evaluation.evaluate`.
    """
    shift: Any = "elements" if align else None
    if split is None:
        with watched(data, format, options, source, console) as sources:
            frames: Iterable[Data] = read_sources(sources)
            frames = frames if part is None else _of_part(frames, part)
            frames = frames if formulas is None else _of_formulas(frames, formulas)
            return evaluate(potential, checked(frames, ", ".join(data), allow_close), energy_shift=shift)
    parts = Split.load(split).of(opened(data, format, options, source, console))
    name = part or "test"
    if name not in parts:
        raise SplitError(f"{split} has no part {name!r}; it has {', '.join(parts)}")
    chosen = parts[name] if formulas is None else list(_of_formulas(parts[name], formulas))
    for _ in checked(chosen, f"part {name} of {split}", allow_close):
        pass
    with make_progress(console) as progress:
        total = len(chosen)
        task = progress.add_task(f"0/{total:,} frames")

        def show(done: int) -> None:
            progress.update(task, description=f"{done:,}/{total:,} frames")

        return evaluate(potential, chosen, energy_shift=shift, progress=show)


def _of_part(frames: Iterable[Data], part: str) -> Iterator[Data]:
    """The frames that their files put into a part."""
    others: set[str] = set()
    found = False
    for frame in frames:
        if frame.split == part:
            found = True
            yield frame
        else:
            others.add(frame.split or "no part")
    if not found:
        raise SplitError(
            f"no frame is of the part {part!r}: the files name {', '.join(sorted(others))}; --split FILE takes a split"
        )


def _of_formulas(frames: Iterable[Data], formulas: frozenset[str]) -> Iterator[Data]:
    """The frames whose reduced formula is one of these."""
    found = False
    for frame in frames:
        if reduced_formula(frame.z.numpy()) in formulas:
            found = True
            yield frame
    if not found:
        raise typer.BadParameter("no frame has one of these formulas", param_hint="--formulas")


def hint_at_reference(evaluation: Evaluation) -> None:
    """Say so where data and model seem to count energies from other references, and nothing was done about it."""
    raw, number = evaluation.rmse.energy_per_atom, evaluation.counts["energy_per_atom"]
    if raw is None or evaluation.element_shifts is not None:
        return
    shifted = evaluation.with_element_shifts()
    n_shifts = sum(map(len, (shifted.element_shifts or {}).values()))
    left = None if shifted.aligned is None else shifted.aligned.rmse.energy_per_atom
    if left is not None and left < OTHER_REFERENCE * raw and number >= FRAMES_PER_SHIFT * n_shifts:
        tell(
            "warning",
            f"a constant for each element takes the error of the energies from {1e3 * raw:.0f} to {1e3 * left:.0f} "
            "meV/atom: data and model count energies from other references; --align gives both",
        )


def to_document(
    evaluation: Evaluation, model: str, dtype: DType, data: Sequence[str], part: str | None
) -> dict[str, Any]:
    """The summary, and what it is of."""
    return {"model": model, "dtype": dtype.value, "data": list(data), "part": part, **summary(evaluation)}


def print_evaluation(console: Console, evaluation: Evaluation, by_element: bool) -> None:
    """Print the errors, by source where there are several, and by element if asked to."""
    counts = evaluation.counts
    print_line(console, f"{counts['frames']:,} frames of {counts['atoms']:,} atoms")
    columns = (
        Column("", number=False),
        Column("known"),
        Column("MAE"),
        Column("± s.e."),
        Column("RMSE"),
        Column("± s.e."),
    )
    rows = []
    for title, each, quantity in compared(evaluation, QUANTITIES):
        spread = each.standard_errors
        errors = (each.mae, spread["mae"], each.rmse, spread["rmse"])
        texts = [_text(quantity, quantity.error(scores)) for scores in errors]
        number = each.counts[quantity.label]
        rows.append(
            [f"{title}, {quantity.error_unit}", f"{number:,}", *texts, fixed(getattr(each.r2, quantity.label), 4)]
        )
    for name, scores in evaluation.property_scores.items():
        numbers = [f"{scores.mae:.4g}", NOTHING, f"{scores.rmse:.4g}", NOTHING]
        rows.append([name, f"{scores.known:,}", *numbers, fixed(scores.r2, 4)])
    print_table(console, (*columns, Column("R²")), rows)
    sources = evaluation.by_source()
    if len(sources) > MOST_SOURCES:
        print_line(console, f"{len(sources):,} sources (--json lists them)")
    elif len(sources) > 1:
        _print_groups(console, "source", sources)
    if by_element:
        elements = evaluation.by_element()
        _print_groups(console, "element", {chemical_symbols[number]: group for number, group in elements.items()})


def write_report(path: Path, evaluation: Evaluation, potential: Potential | None, document: dict[str, Any]) -> None:
    """Write the page; with the model card where a potential is given."""
    from torch_gptff.report import Report
    from torch_gptff.training.model_card import add_model_card

    part = "" if document["part"] is None else f" (part {document['part']})"
    name, data = Path(document["model"]).name, ", ".join(_short(each) for each in document["data"])
    said = f"Predictions of {name} in {document['dtype']} beside {data}{part}."
    report = Report(f"Evaluation of {name}" if potential is None else f"Model card of {name}", said)
    add_headline(report, evaluation)
    if potential is not None:
        add_model_card(report, potential)
    add_evaluation(report, evaluation)
    report.save(path)


def _short(path: str) -> str:
    """The last two names of a path: a page that is passed on need not tell where its data lay."""
    return "/".join(Path(path).parts[-2:])


def _print_groups(console: Console, kind: str, groups: dict[str, GroupErrors]) -> None:
    columns = (Column(kind, number=False), Column("frames"), Column("atoms"))
    errors = tuple(Column(f"{quantity.name} MAE", quantity.error_unit) for quantity in QUANTITIES)
    rows = [
        [name, f"{group.n_frames:,}", f"{group.n_atoms:,}"]
        + [_text(quantity, quantity.error(group.mae)) for quantity in QUANTITIES]
        for name, group in groups.items()
    ]
    print_table(console, columns + errors, rows)


def _text(quantity: Quantity, value: float | None) -> str:
    return NOTHING if value is None else fixed(value, DIGITS[quantity.error_unit])
