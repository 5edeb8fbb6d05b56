"""A report on energies, forces and stresses."""

from __future__ import annotations

from torch_gptff.report.plots import histogram
from torch_gptff.workflows.evaluate_many import EvaluatedStructure
from torch_gptff.workflows.reports.frame import Labelled, RecordsReport

ENOUGH = 10
"""Smallest number of structures of which histograms are drawn."""


def predict_report(structures: Labelled[EvaluatedStructure], about: str = "") -> RecordsReport[EvaluatedStructure]:
    """A report on energies, forces and stresses.

    Args:
        structures: labels and results
        about: how they were computed, shown below the title
    """
    report = RecordsReport("Energies, forces and stresses", structures, about)
    report.overview("Max force: largest force on an atom. Pressure: positive under compression.")
    if len(report.labelled) >= ENOUGH:
        energies = [each.energy / len(each.atoms) for _, each in report.labelled]
        report.figure(histogram(energies, "energy", "eV/atom"), "Energies per atom.")
        forces = [each.max_force for _, each in report.labelled if each.max_force is not None]
        report.figure(histogram(forces, "largest force", "eV/Å"), "Largest force on an atom of each structure.")
    return report
