"""``torch-gptff rank``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from ase import Atoms

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Tell
    from torch_gptff.workflows import Polymorph


def rank(
    context: typer.Context,
    files: options.Files,
    model: options.Model = DEFAULT_MODEL,
    reference: options.Reference = None,
    json: options.JsonFile = None,
    report: options.ReportFile = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    relax_first: options.RelaxFirst = True,
    fmax: options.ForceLimit = 0.01,
    max_steps: options.MaxSteps = 1000,
    symprec: Annotated[float, typer.Option(help="Tolerance of the search for symmetry, Å.", min=1e-5)] = 0.01,
    d3: options.Dispersion = False,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float64",
) -> None:
    """Polymorphs of one composition by their energies, with space groups and duplicates."""
    from torch_gptff.cli.each import Run
    from torch_gptff.workflows import Polymorph, polymorph, rank_relaxed
    from torch_gptff.workflows.rank import require_one_composition
    from torch_gptff.workflows.reports.rank import rank_report

    def compute(atoms: Atoms, calculator: GPTFFCalculator, tell: Tell) -> Polymorph:
        tell("relaxing" if relax_first else "computing")
        settings = {"fmax": fmax, "max_steps": max_steps, "symprec": symprec}
        return polymorph(tell.label, atoms, calculator, relax_first=relax_first, **settings)  # type: ignore[arg-type]

    run = Run(context)
    results = run.results(Polymorph, resume)
    inputs = list(run.structures())
    if inputs:
        require_one_composition({run.short(each.label): each.content for each in inputs})
    run.each(results, compute, lambda found, tell: _verdict(found), inputs=inputs)
    if len(results):
        ranking = rank_relaxed([replace(found, label=run.short(label)) for label, found in results.items()])
        results.write(run.failures, ranking=ranking)
        run.print_records([(entry.label, entry) for entry in ranking.entries])
        if report is not None:
            rank_report(ranking, f"{run.about}.").save(report)
    run.end(all(found.converged for _, found in results.items()))


def _verdict(found: Polymorph) -> str:
    before, after = found.space_group_before, found.space_group
    changed = "" if before == after else f", {before} became {after}"
    left = "" if found.converged else ", NOT CONVERGED"
    return f"{found.energy / len(found.atoms):.4f} eV/atom{changed}{left}"
