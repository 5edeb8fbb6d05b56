"""A report on equations of state of many crystals against a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from torch_gptff.moved import old_names
from torch_gptff.report import Report
from torch_gptff.report.plots import histogram, parity, periodic_table
from torch_gptff.report.style import SERIES, new_figure
from torch_gptff.workflows.eos.benchmark import (
    BRACKET,
    REFERENCE_RATIOS,
    EquationOfStateBenchmark,
    EquationOfStateComparison,
    percent,
)
from torch_gptff.workflows.reports.frame import RecordsReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__getattr__ = old_names(__name__)

N_WORST = 12
"""Largest number of curves in a figure."""


def eos_benchmark_report(
    benchmark: EquationOfStateBenchmark, about: str = ""
) -> RecordsReport[EquationOfStateComparison]:
    """A report on a benchmark of equations of state.

    Args:
        benchmark: the result
        about: how it was computed, shown below the title
    """
    # no line breaks at these hyphens
    named = [(each.name.replace("-", "\u2011"), each) for each in benchmark.comparisons]
    report = RecordsReport(
        f"Equations of state: {benchmark.set_name} against all-electron PBE",
        named if benchmark.computed else [],
        about,
        nothing="The model gave energies of no crystal.",
    )
    if not benchmark.computed:
        return report
    report.numbers(
        {
            "crystals": (benchmark.n_computed, ""),
            "failed": (benchmark.n_failed, ""),
            "median error of V₀": (percent(benchmark.median_volume_error), "%"),
            "R² of V₀": (_rounded(benchmark.volume_r2, 3), ""),
            "median error of B₀": (percent(benchmark.median_bulk_modulus_error), "%"),
        }
    )
    low, high = REFERENCE_RATIOS[0], REFERENCE_RATIOS[-1]
    report.text(
        f"Birch and Murnaghan's equation through energies at {len(REFERENCE_RATIOS)} volumes, {low:g} to {high:g} "
        f"times that of least energy in the reference. A crystal counts as failed where the fit has no minimum between "
        f"{BRACKET[0]:g} and {BRACKET[1]:g} times that volume; errors are of the others. Of the curve between these "
        f"volumes, {benchmark.n_bracketed} of {benchmark.n_computed} have a minimum; “own minimum” is the one nearest "
        "to the reference, fitted about itself. Reference: E. Bosoni et al., Nature Reviews Physics 6, 45 (2024)."
    )
    left_out = [each.name for each in benchmark.comparisons if not each.computed]
    if left_out:
        report.note(f"Not computed, because the model refuses them: {', '.join(left_out)}.")
    if benchmark.found:
        _figures(report, benchmark)
    report.heading("By structure")
    table = benchmark.prototype_table()
    report.table(table.columns, table.rows)
    _curves(report, benchmark)
    return report.overview(heading="All crystals")


def _figures(report: Report, benchmark: EquationOfStateBenchmark) -> None:
    known, predicted = benchmark.volumes_per_atom
    report.figure(parity(known, predicted, "V₀", "Å³/atom"), "Volumes of least energy.")
    moduli = [each.reference_bulk_modulus for each in benchmark.found]
    fitted = [each.fit.bulk_modulus for each in benchmark.found if each.fit is not None]
    report.figure(*_moduli_figure(moduli, fitted))
    errors = [100 * each.volume_error for each in benchmark.found if each.volume_error is not None]
    report.figure(histogram(errors, "error of V₀", "%", bins=40), "Errors of the volumes.")
    report.figure(
        periodic_table(_by_element(benchmark), "mean error of V₀, by magnitude", "%"),
        "Mean over the structures of an element in which a minimum was found.",
    )


def _moduli_figure(known: list[float], fitted: list[float]) -> tuple[Figure, str]:
    """A figure of the range of the reference, whatever a few fits to a rough curve give, and its caption."""
    figure = parity(known, fitted, "B₀", "GPa")
    top = 1.25 * max(known)
    beyond = sum(not 0 <= value <= top for value in fitted)
    figure.axes[0].set(xlim=(-0.04 * top, top), ylim=(-0.04 * top, top))
    for text in figure.axes[0].texts:
        text.set(x=0.96, y=0.04, horizontalalignment="right", verticalalignment="bottom")  # where few points are
    return figure, f"Bulk moduli. {beyond} lie beyond the axes." if beyond else "Bulk moduli."


def _by_element(benchmark: EquationOfStateBenchmark) -> dict[int, float]:
    errors: dict[int, list[float]] = {}
    for each in benchmark.found:
        (element,) = set(each.atoms.numbers.tolist()) - {8} or {8}  # an oxide counts for what is oxidised
        errors.setdefault(element, []).append(abs(100 * (each.volume_error or 0.0)))
    return {element: float(np.mean(values)) for element, values in errors.items()}


def _curves(report: Report, benchmark: EquationOfStateBenchmark) -> None:
    failed = [each for each in benchmark.computed if not each.found]
    if failed:
        report.heading("Failed")
        report.figure(_curve_figure(failed[:N_WORST]), "Energies of crystals that failed, by volume.")
        if len(failed) > N_WORST:
            report.text(f"The first {N_WORST} of {len(failed)} are shown.")
    worst = sorted(benchmark.found, key=lambda each: -abs(each.volume_error or 0.0))[:N_WORST]
    if worst:
        report.heading("Largest errors")
        report.figure(_curve_figure(worst), "Energies of the crystals found with the largest errors of V₀, by volume.")


def _curve_figure(chosen: list[EquationOfStateComparison]) -> Figure:
    figure, first = new_figure(7.6, 1.75 * -(-len(chosen) // 4))
    first.remove()
    grid = figure.subplots(-(-len(chosen) // 4), 4, squeeze=False)
    for axes, each in zip(grid.flat, chosen, strict=False):
        n_atoms = len(each.atoms)
        ratios = each.volumes / each.reference_volume
        energies = (each.energies - each.energies.min()) / n_atoms
        axes.plot(ratios, energies, color=SERIES[0], linewidth=1.2)
        axes.axvline(1, color="black", linewidth=0.8, linestyle=":")
        axes.set_title(each.name, fontsize=9)
        axes.set_ylim(-0.06 * min(energies.max(), 2.0), min(energies.max(), 2.0))
        axes.tick_params(labelsize=8)
        axes.grid(linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid.flat[len(chosen) :]:
        axes.set_axis_off()
    figure.supxlabel("volume / that of the reference", fontsize=9.5)
    figure.supylabel("energy (eV/atom)", fontsize=9.5)
    return figure


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
