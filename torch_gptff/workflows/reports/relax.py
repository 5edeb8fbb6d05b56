"""A report on relaxations."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from torch_gptff.moved import old_names
from torch_gptff.report import Column
from torch_gptff.report.plots import histogram
from torch_gptff.workflows.relaxation import Relaxation
from torch_gptff.workflows.reports.frame import Labelled, RecordsReport

__getattr__ = old_names(__name__)

ENOUGH = 10
"""Smallest number of crystals of which a histogram of volumes is drawn."""

_CELL: tuple[Column | str, ...] = (
    "",
    *(Column(name, "Å", 3) for name in "abc"),
    *(Column(name, "°", 3) for name in "αβγ"),
    Column("volume", "Å³", 2),
    "space group",
)


def relax_report(relaxations: Labelled[Relaxation], about: str = "") -> RecordsReport[Relaxation]:
    """A report on relaxations.

    Args:
        relaxations: labels of structures and results
        about: how they were computed, shown below the title
    """
    report = RecordsReport("Relaxation", relaxations, about)
    report.overview("The furthest atom is the one that moved most beside the change of the cell.")
    unfinished = [label for label, relaxation in report.labelled if not relaxation.converged]
    if unfinished:
        report.note(f"Not converged: {', '.join(unfinished)}. Allow more steps, or look at the path of the relaxation.")
    report.remarks(lambda relaxation: relaxation.remarks)
    changes = [each.volume_change for _, each in report.labelled if each.volume_change is not None]
    if len(changes) >= ENOUGH:
        report.figure(histogram(100 * np.array(changes), "change of volume", "%"), "How much volumes changed.")
    return report.sections(_section, of=lambda relaxation: bool(relaxation.final.pbc.all()))


def _section(report: RecordsReport[Relaxation], label: str, relaxation: Relaxation) -> None:
    """Add cell and symmetry before and after."""
    rows = [_cell("before", relaxation.initial), _cell("after", relaxation.final)]
    report.table(_CELL, rows, "Cell, and space group to 0.01 Å.")


def _cell(when: str, atoms: Atoms) -> list[object]:
    import spglib

    found = spglib.get_symmetry_dataset((atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), symprec=0.01)
    group = "" if found is None else f"{found.international} ({found.number})"
    return [when, *atoms.cell.cellpar().tolist(), atoms.cell.volume, group]
