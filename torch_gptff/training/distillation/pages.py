"""The coverage of a distilled dataset as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ase.data import atomic_numbers

from torch_gptff.report import Column, Report
from torch_gptff.report.periodic_table import periodic_table
from torch_gptff.report.plots import histogram
from torch_gptff.training.distillation.coverage import Coverage, quantiles


def coverage_page(coverage: Coverage, job: Mapping[str, Any]) -> Report:
    """A report with figures.

    Args:
        coverage: of the dataset
        job: the teacher, the settings, and what else it was made with
    """
    report = Report(
        "A distilled dataset", f"Labels of {job['teacher']['name']} on {coverage.n_seeds:,} seeds and their copies."
    )
    report.numbers(
        {
            "frames": (coverage.n_frames, ""),
            "atoms": (coverage.n_atoms, ""),
            "elements": (len(coverage.elements), ""),
            "left out": (sum(coverage.left_out.values()), ""),
        }
    )
    report.heading("Frames")
    report.table(["kind", Column("frames")], [[kind, number] for kind, number in coverage.kinds.items()])
    if coverage.left_out:
        report.table(["left out because", Column("frames")], [list(row) for row in coverage.left_out.items()])
    report.heading("Elements and pairs")
    by_number = {atomic_numbers[symbol]: float(atoms) for symbol, (_, atoms) in coverage.elements.items()}
    report.figure(periodic_table(by_number, "atoms"), "Atoms of each element in all frames.")
    pairs = [[pair, found.frames, found.closest] for pair, found in coverage.pairs.items()]
    report.table(["neighbours", Column("frames"), Column("closest", "Å")], pairs)
    report.heading("Distributions")
    for name, values in coverage.values.items():
        if len(values):
            label, _, unit = name.partition(", ")
            report.figure(histogram(values, label, unit), f"{label.capitalize()}: {_said(values)}.")
    report.heading("How it was made")
    report.facts(job)
    return report


def _said(values: Any) -> str:
    return ", ".join(f"{label} {value:.3g}" for label, value in quantiles(values).items())
