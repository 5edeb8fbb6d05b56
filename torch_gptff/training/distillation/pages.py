"""Report on the coverage of a distilled dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ase.data import atomic_numbers

from torch_gptff.report import Column, Report
from torch_gptff.report.periodic_table import periodic_table
from torch_gptff.report.plots import bars_of_counts
from torch_gptff.training.distillation.coverage import Coverage, in_words


def coverage_page(coverage: Coverage, job: Mapping[str, Any]) -> Report:
    """A report on the coverage, with figures.

    Args:
        coverage: coverage of the dataset
        job: teacher, settings and other inputs of the distillation
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
    pairs = coverage.pair_table()
    report.table(pairs.columns, pairs.rows)
    report.heading("Distributions")
    for name, each in coverage.distributions.items():
        if each.quantiles:
            label, _, unit = name.partition(", ")
            figure = bars_of_counts(each.counts, each.edges, each.beyond, label, unit)
            report.figure(figure, f"{label.capitalize()}: {in_words(each.quantiles)}.")
    report.heading("How it was made")
    report.facts(job)
    return report
