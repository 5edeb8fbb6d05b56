"""``torch-gptff eos-benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Input, Tell
    from torch_gptff.workflows import EquationOfStateComparison, ReferenceCrystal

CrystalSet = Literal["unaries", "oxides"]
"""Names of :data:`torch_gptff.workflows.eos.reference.SETS`."""


def eos_benchmark(
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Folder of the ACWF data: [bold]results-…-AE-average.json[/bold] and the folders [bold]xsf_…[/bold] "
            "of github.com/aiidateam/acwf-verification-scripts.",
            show_default=False,
        ),
    ],
    model: options.Model = DEFAULT_MODEL,
    reference: options.Reference = None,
    crystals: Annotated[CrystalSet, typer.Option("--set", help="Set of crystals.")] = "unaries",
    formulas: options.Formulas = None,
    json: options.JsonFile = None,
    report: options.ReportFile = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    device: options.Device = None,
    dtype: options.Precision = "float32",
) -> None:
    """Equations of state of hundreds of crystals, compared with all-electron PBE."""
    from torch_gptff.cli.each import Run
    from torch_gptff.cli.output import print_line, print_table
    from torch_gptff.workflows import (
        EquationOfStateBenchmark,
        EquationOfStateComparison,
        compare_equation_of_state,
        reference_crystals,
    )
    from torch_gptff.workflows.reports.eos_benchmark import eos_benchmark_report

    def compute(crystal: ReferenceCrystal, calculator: GPTFFCalculator, tell: Tell) -> EquationOfStateComparison:
        return compare_equation_of_state(crystal, run.potential)

    run = Run(context)
    results = run.results(EquationOfStateComparison, resume)
    wanted = None if formulas is None else formulas.read_text(encoding="utf-8-sig").split()
    run.each(results, compute, inputs=_inputs(reference_crystals(folder, crystals), wanted))
    benchmark = EquationOfStateBenchmark(crystals, tuple(each for _, each in results.items()))
    left_out = [each.name for each in benchmark.comparisons if not each.computed]
    if left_out:
        print_line(run.console, f"not computed, because the model refuses them: {', '.join(left_out)}")
    if benchmark.doubtful:
        names = ", ".join(each.name for each in benchmark.doubtful)
        print_line(run.console, f"DOUBTFUL, with a B₀′ that no solid has ({benchmark.n_doubtful}): {names}")
    print_table(run.console, benchmark.prototype_table())
    if report is not None:
        eos_benchmark_report(benchmark, f"{run.about}.").save(report)
    run.end()


def _inputs(crystals: Sequence[ReferenceCrystal], formulas: Sequence[str] | None) -> list[Input]:
    """The crystals of these formulas, each known by its structure and by the values of the reference."""
    from torch_gptff.cli.each import Input
    from torch_gptff.graph.formula import reduced_formula
    from torch_gptff.io.identity import structure_digest

    chosen = [each for each in crystals if formulas is None or reduced_formula(each.atoms.numbers) in formulas]
    if not chosen:
        raise typer.BadParameter("no crystal of the set has one of these formulas", param_hint="--formulas")
    return [
        Input(
            each.name,
            each,
            f"{structure_digest(each.atoms)} {each.bulk_modulus!r} {each.bulk_modulus_derivative!r}",
            f"{number}/{len(chosen)}",
        )
        for number, each in enumerate(chosen, start=1)
    ]
