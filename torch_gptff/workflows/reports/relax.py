"""A report on relaxations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms

from torch_gptff.moved import old_names
from torch_gptff.report import Column, Named
from torch_gptff.report.plots import histogram
from torch_gptff.report.structures import Trajectory, thin
from torch_gptff.report.style import new_figure
from torch_gptff.workflows.drawing.relax import draw_energies, draw_forces
from torch_gptff.workflows.drawing.words import group_symbol
from torch_gptff.workflows.relaxation import Relaxation
from torch_gptff.workflows.reports.frame import Labelled, RecordsReport

__getattr__ = old_names(__name__)

NO_FORCE = 1e-6
"""Smaller forces are rounding, of atoms that feel none by symmetry, eV/Å."""

ENOUGH = 10
"""Smallest number of crystals of which a histogram of volumes is drawn."""

_CELL: tuple[Column | str, ...] = (
    "",
    *(Column(name, "Å", 3) for name in "abc"),
    *(Column(name, "°", 3) for name in "αβγ"),
    Column("volume", "Å³", 2),
    "space group",
)


def relax_report(
    relaxations: Labelled[Relaxation], about: str = "", paths: Mapping[str, Sequence[Atoms]] | None = None
) -> RecordsReport[Relaxation]:
    """A report on relaxations.

    Args:
        relaxations: labels of structures and results
        about: how they were computed, shown below the title
        paths: the structure given and after every step, by label; of others, the first and the last are shown
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

    def section(report: RecordsReport[Relaxation], label: str, relaxation: Relaxation) -> None:
        full = label.full if isinstance(label, Named) else label
        _section(report, relaxation, (paths or {}).get(full))

    return report.sections(section)


def _section(report: RecordsReport[Relaxation], relaxation: Relaxation, path: Sequence[Atoms] | None) -> None:
    """Add the path of the relaxation, and cell and symmetry before and after."""
    if path is None:
        ends = [relaxation.initial, relaxation.final]
        shown = Trajectory(ends, [0, relaxation.n_steps], "step")
        said = "The structure before and after."
    else:
        shown = thin(path, range(len(path)), "step")
        said = "The structure, step by step."
    if relaxation.n_steps == 0:
        shown = Trajectory([relaxation.final], [0.0], "")
        said = "The structure, which needed no step."
    if relaxation.energies is not None and relaxation.n_steps > 0:
        energies, axes = new_figure(4.6, 3.0)
        draw_energies(axes, relaxation)
        report.trajectory(shown, said, energies, "Energy, from step to step.")
        if relaxation.forces is not None and relaxation.forces.max() < NO_FORCE:
            report.text("No atom feels a force at any step.")
        else:
            forces, axes = new_figure(4.6, 3.0)
            draw_forces(axes, relaxation)
            report.figure(forces, "Largest force on an atom, from step to step.")
    else:
        report.trajectory(shown, said)
    if not relaxation.final.pbc.all():
        return
    rows = [_cell("before", relaxation.initial), _cell("after", relaxation.final)]
    report.table(_CELL, rows, "Cell, and space group to 0.01 Å.")


def _cell(when: str, atoms: Atoms) -> list[object]:
    import spglib

    found = spglib.get_symmetry_dataset((atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), symprec=0.01)
    group = "" if found is None else group_symbol(f"{found.international} ({found.number})")
    return [when, *atoms.cell.cellpar().tolist(), atoms.cell.volume, group]
