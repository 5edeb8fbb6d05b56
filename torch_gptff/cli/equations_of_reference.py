"""The benchmark of equations of state: progress, a table, a JSON file and a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console

from torch_gptff.cli.dependence import dependence
from torch_gptff.cli.each import about_model
from torch_gptff.cli.errors import Failures
from torch_gptff.cli.output import Column, fixed, make_progress, print_line, print_table
from torch_gptff.cli.results import Results
from torch_gptff.graph.formula import reduced_formula
from torch_gptff.io.identity import structure_digest
from torch_gptff.potential import Potential
from torch_gptff.workflows import (
    EquationOfStateBenchmark,
    EquationOfStateComparison,
    ReferenceCrystal,
    compare_equation_of_state,
    reference_crystals,
)
from torch_gptff.workflows.reports.eos_benchmark import eos_comparison_report

COLUMNS = (
    Column("structure", number=False),
    Column("crystals"),
    Column("failed"),
    Column("median error of V₀", "%"),
    Column("R² of V₀"),
    Column("median error of B₀", "%"),
)


def compare_all(
    context: typer.Context, potential: Potential, console: Console, failures: Failures
) -> EquationOfStateBenchmark:
    """Compute every crystal of a set, and tell how the model compares.

    Args:
        context: of the command
        potential: that computes
        console: to tell on
        failures: what failed
    """
    given = context.params
    set_name, formulas = given["crystals"].value, given["formulas"]
    results = Results(EquationOfStateComparison, given["json"], dependence(context, potential), given["resume"])
    wanted = None if formulas is None else formulas.read_text(encoding="utf-8-sig").split()
    crystals = _chosen(reference_crystals(given["folder"], set_name), wanted)
    with make_progress(console) as progress:
        task = progress.add_task("")
        for number, crystal in enumerate(crystals, start=1):
            progress.update(task, description=f"{number}/{len(crystals)} {crystal.name}")
            digest = _digest(crystal)
            if not results.holds(crystal.name, digest):
                with failures.alone(crystal.name):
                    results.add(crystal.name, compare_equation_of_state(crystal, potential), digest)
    results.write(failures)
    benchmark = EquationOfStateBenchmark(set_name, tuple(each for _, each in results.items()))
    left_out = [each.name for each in benchmark.comparisons if not each.computed]
    if left_out:
        print_line(console, f"not computed, because the model refuses them: {', '.join(left_out)}")
    if benchmark.doubtful:
        names = ", ".join(each.name for each in benchmark.doubtful)
        print_line(console, f"DOUBTFUL, with a B₀′ that no solid has ({benchmark.n_doubtful}): {names}")
    rows = [_row(prototype, numbers) for prototype, numbers in benchmark.by_prototype.items()]
    everything = {
        "n_computed": benchmark.n_computed,
        "n_failed": benchmark.n_failed,
        "median_volume_error": benchmark.median_volume_error,
        "volume_r2": benchmark.volume_r2,
        "median_bulk_modulus_error": benchmark.median_bulk_modulus_error,
    }
    print_table(console, COLUMNS, [*rows, _row("all", everything)])
    if given["report"] is not None:
        eos_comparison_report(benchmark, f"{about_model(context, potential)}.").save(given["report"])
    return benchmark


def _digest(crystal: ReferenceCrystal) -> str:
    """Of the crystal and of what the reference says of it."""
    return f"{structure_digest(crystal.atoms)} {crystal.bulk_modulus!r} {crystal.bulk_modulus_derivative!r}"


def _chosen(crystals: Sequence[ReferenceCrystal], formulas: Sequence[str] | None) -> list[ReferenceCrystal]:
    if formulas is None:
        return list(crystals)
    chosen = [crystal for crystal in crystals if reduced_formula(crystal.atoms.numbers) in formulas]
    if not chosen:
        raise typer.BadParameter("no crystal of the set has one of these formulas", param_hint="--formulas")
    return chosen


def _row(name: str, numbers: dict[str, Any]) -> list[str]:
    volume, modulus = numbers["median_volume_error"], numbers["median_bulk_modulus_error"]
    return [
        name,
        str(numbers["n_computed"]),
        str(numbers["n_failed"]),
        fixed(None if volume is None else 100 * volume, 2),
        fixed(numbers["volume_r2"], 3),
        fixed(None if modulus is None else 100 * modulus, 1),
    ]
