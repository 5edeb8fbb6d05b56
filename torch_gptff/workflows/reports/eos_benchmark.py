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

N_SHOWN = 12
"""Largest number of curves of crystals that failed, and of those with the largest errors."""


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
    _curves(report)
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


def _curves(report: RecordsReport[EquationOfStateComparison]) -> None:
    computed = [(label, each) for label, each in report.labelled if each.computed]
    failed = [(label, each) for label, each in computed if not each.found]
    if failed:
        chosen = f" of the first {N_SHOWN} of {len(failed)}" if len(failed) > N_SHOWN else ""
        report.heading("Failed").text(f"Energies{chosen} by volume.")
        for label, each in failed[:N_SHOWN]:
            report.figure(_curve_figure(each), f"{label}: no minimum.")
    found = [(label, each) for label, each in computed if each.found]
    found.sort(key=lambda pair: -abs(pair[1].volume_error or 0.0))
    if found:
        report.heading("Largest errors").text("Energies by volume.")
        for label, each in found[:N_SHOWN]:
            report.figure(_curve_figure(each), f"{label}: V₀ {100 * (each.volume_error or 0.0):+.1f} %.")


def _curve_figure(crystal: EquationOfStateComparison) -> Figure:
    figure, axes = new_figure(3.0, 2.3)
    energies = (crystal.energies - crystal.energies.min()) / len(crystal.atoms)
    axes.plot(crystal.volumes / crystal.reference_volume, energies, color=SERIES[0])
    axes.axvline(1, color="black", linewidth=0.8, linestyle=":")
    top = min(float(energies.max()), 2.0)
    axes.set_ylim(-0.06 * top, top)
    axes.set_xlabel("V / V₀ by the reference")
    axes.set_ylabel("energy (eV/atom)")
    return figure


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
