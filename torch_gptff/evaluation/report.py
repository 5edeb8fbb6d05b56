"""Tables and figures of an evaluation, for reports and terminals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from torch_gptff.datasets.statistics import MOST_SOURCES
from torch_gptff.evaluation.record import Evaluation, FrameErrors, GroupErrors
from torch_gptff.evaluation.scores import Scores
from torch_gptff.report import Column, Report, Table, plots, written
from torch_gptff.report.tables import common_decimals, number_of
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from torch_gptff.potential import Potential

FEW_ELEMENTS = 12
"""Largest number of elements that are shown as bars; more are shown as a periodic table."""

WORST = 6
"""Number of frames that are listed for each kind of error."""


@dataclass(frozen=True)
class Quantity:
    """Units in which a label is shown.

    Attributes:
        label: field of :class:`Scores`
        name: name in words
        unit: unit of values
        factor: factor from eV, eV/Å or eV/Å³ to ``unit``
        error_unit: unit of errors
        error_factor: factor from eV, eV/Å or eV/Å³ to ``error_unit``
    """

    label: str
    name: str
    unit: str
    factor: float
    error_unit: str
    error_factor: float

    def error(self, scores: Scores) -> float | None:
        """A score of this label in the unit of errors."""
        value = getattr(scores, self.label)
        return None if value is None else value * self.error_factor


QUANTITIES = (
    Quantity("energy_per_atom", "energy", "eV/atom", 1.0, "meV/atom", 1e3),
    Quantity("forces", "forces", "eV/Å", 1.0, "meV/Å", 1e3),
    Quantity("stress", "stress", "GPa", GPA_PER_EV_PER_ANGSTROM3, "GPa", GPA_PER_EV_PER_ANGSTROM3),
)

ALIGNED = "aligned energy"

ZERO_DECIMALS = 2
"""Decimals of an error that is zero up to rounding."""


def evaluation_report(
    evaluation: Evaluation, document: Mapping[str, Any], potential: Potential | None = None
) -> Report:
    """A report on an evaluation.

    Args:
        evaluation: known and predicted values
        document: ``model``, ``dtype``, ``data`` (a list of paths) and ``part`` (or ``None``) of the evaluation
        potential: the model, for a report with its model card
    """
    from torch_gptff.evaluation.model_card import add_model_card

    part = "" if document["part"] is None else f" (part {document['part']})"
    name, data = Path(document["model"]).name, ", ".join(_short(each) for each in document["data"])
    said = f"Predictions of {name} in {document['dtype']} beside {data}{part}."
    report = Report(f"Evaluation of {name}" if potential is None else f"Model card of {name}", said)
    add_headline(report, evaluation)
    if potential is not None:
        add_model_card(report, potential)
    add_evaluation(report, evaluation)
    return report


def _short(path: str) -> str:
    """The last two names of a path: a page that is passed on need not say where its data were."""
    return "/".join(Path(path).parts[-2:])


def add_headline(report: Report, evaluation: Evaluation) -> None:
    """Add the mean absolute errors in large type."""
    shown = compared(evaluation, _known(evaluation))
    errors = {f"{name}, MAE": (quantity.error(each.mae), quantity.error_unit) for name, each, quantity in shown}
    of_properties = {f"{name}, MAE": (scores.mae, "") for name, scores in evaluation.property_scores.items()}
    report.numbers({**errors, **of_properties})


def add_evaluation(report: Report, evaluation: Evaluation) -> None:
    """Add errors, parity plots, distributions of errors, errors by element and by source, and the worst frames."""
    known = _known(evaluation)
    if known:
        _add_errors(report, evaluation, known)
    _add_properties(report, evaluation)
    if not known:
        return
    report.heading("Predicted against known")
    for title, values, quantity in compared(evaluation, known):
        pair = getattr(values, quantity.label)
        figure = plots.parity(pair.known * quantity.factor, pair.predicted * quantity.factor, title, quantity.unit)
        report.figure(figure, f"{title[0].upper()}{title[1:]}.", f"predicted against known {title}")
    report.heading("Distribution of errors")
    for title, values, quantity in compared(evaluation, known):
        errors = getattr(values, quantity.label).errors * quantity.error_factor
        figure = plots.histogram(errors, f"error of {title}", quantity.error_unit)
        report.figure(figure, f"Predicted minus known {title}.", f"histogram of the errors of {title}")
    _add_elements(report, evaluation, known)
    _add_sources(report, evaluation, known)
    _add_worst(report, evaluation, known)


def _known(evaluation: Evaluation) -> list[Quantity]:
    return [quantity for quantity in QUANTITIES if getattr(evaluation.mae, quantity.label) is not None]


def compared(evaluation: Evaluation, known: Sequence[Quantity]) -> list[tuple[str, Evaluation, Quantity]]:
    """Title, evaluation and quantity of each row: one for each label, and another one for aligned energies."""
    shown = [(quantity.name, evaluation, quantity) for quantity in known]
    if evaluation.aligned is not None:
        shown.insert(1, (ALIGNED, evaluation.aligned, QUANTITIES[0]))
    return shown


def error_table(evaluation: Evaluation, quantities: Sequence[Quantity] = QUANTITIES) -> Table:
    """Mean errors of each quantity, with their standard errors."""
    rows = []
    for title, each, quantity in compared(evaluation, quantities):
        spread = each.standard_errors
        errors = []
        for scores, standard_errors in ((each.mae, spread["mae"]), (each.rmse, spread["rmse"])):
            error, standard_error = quantity.error(scores), quantity.error(standard_errors)
            decimals = common_decimals([error])  # an error and its standard error have as many
            decimals = ZERO_DECIMALS if decimals is None else decimals
            errors += [written(error, decimals), written(standard_error, decimals)]
        number, r2 = each.counts[quantity.label], getattr(each.r2, quantity.label)
        rows.append([title, number, *errors, quantity.error_unit, r2])
    numbers = [Column(name, number=True) for name in ("MAE", "± s.e.", "RMSE", "± s.e.")]
    return Table([Column("error of"), Column("known"), *numbers, Column("unit"), Column("R²", decimals=4)], rows)


def property_table(evaluation: Evaluation) -> Table:
    """Errors of each property beside the energy, in the unit of the data, and of a constant prediction, the mean."""
    rows = [
        [name, each.known, *(written(value) for value in (each.mae, each.rmse, each.mae_of_mean)), each.r2]
        for name, each in evaluation.property_scores.items()
    ]
    numbers = [Column(name, number=True) for name in ("MAE", "RMSE", "MAE of the mean")]
    return Table([Column("property"), Column("known"), *numbers, Column("R²", decimals=4)], rows)


def group_table(
    kind: str, groups: Mapping[str, GroupErrors], quantities: Sequence[Quantity] = QUANTITIES, detail: bool = False
) -> Table:
    """Mean errors of each group of frames or atoms.

    Args:
        kind: kind of the groups, such as ``"element"``
        groups: errors by the names of the groups
        quantities: quantities that are shown
        detail: whether root mean square errors are shown too
    """

    def column(quantity: Quantity, score: str) -> Column:
        return Column(
            f"{quantity.name} {score}",
            quantity.error_unit,
            value=lambda group: quantity.error(getattr(group, score.lower())),
            detail=score == "RMSE",
        )

    columns = [
        Column("frames", value=lambda group: group.n_frames),
        Column("atoms", value=lambda group: group.n_atoms),
        *(column(quantity, score) for quantity in quantities for score in ("MAE", "RMSE")),
    ]
    return Table.of(list(groups.items()), columns, kind, detail)


def _add_errors(report: Report, evaluation: Evaluation, known: list[Quantity]) -> None:
    report.heading("Errors")
    table, counts = error_table(evaluation, known), evaluation.counts
    frames, atoms = number_of(counts["frames"], "frames"), number_of(counts["atoms"], "atoms")
    report.table(
        table.columns,
        table.rows,
        f"{frames} of {atoms}. Energy per atom, components of forces, nine components of the stress. s.e.: "
        "standard error, by bootstrap over frames.",
    )
    if evaluation.aligned is not None:
        shifts = evaluation.element_shifts or {}
        fitted, where = sum(map(len, shifts.values())), " in each source" if len(shifts) > 1 else ""
        report.text(
            f"Aligned: a constant for each element{where}, {fitted} in all, was fitted to the errors of these energies "
            "and added to the predictions, since data and model may have different energy references."
        )


def _add_properties(report: Report, evaluation: Evaluation) -> None:
    """Errors of the properties beside the energy, compared with a constant prediction, and parity plots."""
    if not evaluation.properties:
        return
    report.heading("Properties beside the energy")
    table = property_table(evaluation)
    report.table(
        table.columns,
        table.rows,
        "In the units of the data. MAE of the mean: the error of a constant prediction, the mean of the known values.",
    )
    for name, each in evaluation.properties.items():
        rows_known = each.is_known
        figure = plots.parity(each.known[rows_known], each.predicted[rows_known], name, "unit of the data")
        report.figure(figure, f"{name}.", f"predicted against known {name}")


def _add_elements(report: Report, evaluation: Evaluation, known: list[Quantity]) -> None:
    from ase.data import chemical_symbols

    groups = evaluation.by_element()
    report.heading("By element")
    report.text("Errors of forces on the atoms of an element, and of energy and stress of the frames that contain it.")
    quantity = next((each for each in known if each.label == "forces"), known[0])
    errors = {number: quantity.error(group.mae) for number, group in groups.items()}
    figure: Figure | None = None
    if len(errors) > FEW_ELEMENTS:
        figure = plots.periodic_table(errors, f"MAE of {quantity.name}", quantity.error_unit)
    elif len(errors) > 1:
        by_symbol = {chemical_symbols[number]: error for number, error in errors.items()}
        figure = plots.bars(by_symbol, f"MAE of {quantity.name}", quantity.error_unit)
    if figure is not None:
        report.figure(figure, f"Mean absolute error of {quantity.name} by element.")
    table = group_table(
        "element", {chemical_symbols[number]: group for number, group in groups.items()}, known, detail=True
    )
    report.table(table.columns, table.rows)


def _add_sources(report: Report, evaluation: Evaluation, known: list[Quantity]) -> None:
    groups = evaluation.by_source()
    if not 1 < len(groups) <= MOST_SOURCES:  # more than these are not names of sources
        return
    report.heading("By source")
    for quantity in known:
        errors = {source: quantity.error(group.mae) for source, group in groups.items()}
        figure = plots.bars(errors, f"MAE of {quantity.name}", quantity.error_unit)
        report.figure(figure, f"Mean absolute error of {quantity.name} by source.")
    table = group_table("source", groups, known, detail=True)
    report.table(table.columns, table.rows)


def _add_worst(report: Report, evaluation: Evaluation, known: list[Quantity]) -> None:
    report.heading("Worst frames")
    columns = [Column("frame"), Column("material"), Column("source"), Column("atoms")]
    columns += [
        Column("energy error", "meV/atom"),
        Column("largest force error", "eV/Å"),
        Column("largest stress error", "GPa"),
    ]
    labels = {quantity.label for quantity in known}
    for label, by, caption in (
        ("energy_per_atom", "energy_per_atom", "By the error of the energy per atom."),
        ("forces", "force", "By the largest error of the force on an atom."),
        ("stress", "stress", "By the largest error of a component of the stress."),
    ):
        if label in labels:
            report.table(columns, [_row(frame) for frame in evaluation.worst(by, WORST)], caption)  # type: ignore[arg-type]


def _row(frame: FrameErrors) -> list[object]:
    energy = np.nan if frame.energy_per_atom is None else frame.energy_per_atom * 1e3
    stress = np.nan if frame.stress is None else frame.stress * GPA_PER_EV_PER_ANGSTROM3
    return [frame.frame_id, frame.material, frame.source, frame.n_atoms, energy, frame.force, stress]
