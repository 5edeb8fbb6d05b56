"""A report on relaxations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase import Atoms

from torch_gptff.report import Column, Report
from torch_gptff.report.plots import histogram
from torch_gptff.workflows.relaxation import Relaxation

IN_DETAIL = 20
"""Number of structures with a section of their own; the table has all."""

ENOUGH = 10
"""Crystals, from which on their volumes make a histogram."""

_CELL: tuple[Column | str, ...] = (
    "",
    *(Column(name, "Å", 3) for name in "abc"),
    *(Column(name, "°", 3) for name in "αβγ"),
    Column("volume", "Å³", 2),
    "space group",
)


def relaxation_report(relaxations: Mapping[str, Relaxation], about: str = "") -> Report:
    """A page of relaxations.

    Args:
        relaxations: by the labels of their structures
        about: how they were computed, below the title
    """
    report = Report("Relaxation", about)
    if not relaxations:
        return report.note("There is no result.")
    caption = "The furthest atom is the one that moved most beside the change of the cell."
    report.records(list(relaxations.items()), Relaxation.columns, caption)
    unfinished = [label for label, relaxation in relaxations.items() if not relaxation.converged]
    if unfinished:
        report.note(f"Not converged: {', '.join(unfinished)}. Allow more steps, or look at the way they took.")
    for label, relaxation in relaxations.items():
        for remark in relaxation.remarks:
            report.note(f"{label}: {remark}.")
    changes = [each.volume_change for each in relaxations.values() if each.volume_change is not None]
    if len(changes) >= ENOUGH:
        report.figure(histogram(100 * np.array(changes), "change of volume", "%"), "How much volumes changed.")
    for label, relaxation in list(relaxations.items())[:IN_DETAIL]:
        _detail(report, label, relaxation)
    return report


def _detail(report: Report, label: str, relaxation: Relaxation) -> None:
    """Cell and symmetry before and after."""
    if not relaxation.final.pbc.all():
        return
    report.heading(label)
    rows = [_cell("before", relaxation.initial), _cell("after", relaxation.final)]
    report.table(_CELL, rows, "Cell, and space group to 0.01 Å.")


def _cell(when: str, atoms: Atoms) -> list[object]:
    import spglib

    found = spglib.get_symmetry_dataset((atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), symprec=0.01)
    group = "" if found is None else f"{found.international} ({found.number})"
    return [when, *atoms.cell.cellpar().tolist(), atoms.cell.volume, group]
