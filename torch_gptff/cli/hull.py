"""``torch-gptff hull``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL
from torch_gptff.errors import HullError

if TYPE_CHECKING:
    from ase import Atoms

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Tell
    from torch_gptff.workflows import Phase


def hull(
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
    corrections: Annotated[
        Literal["none", "mp2020"],
        typer.Option(
            help="Corrections of energies. [bold]mp2020[/bold]: those of the Materials Project, for models in its "
            "reference (PBE and PBE+U)."
        ),
    ] = "none",
    d3: options.Dispersion = False,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float32",
) -> None:
    """Formation energies and the convex hull of phases; the files must hold each element by itself too."""
    from torch_gptff.cli.each import Run
    from torch_gptff.cli.relaxed import relaxed
    from torch_gptff.workflows import Phase, convex_hull
    from torch_gptff.workflows.corrections import mp2020_correction
    from torch_gptff.workflows.network import require_crystal
    from torch_gptff.workflows.reports.hull import hull_report

    def compute(atoms: Atoms, calculator: GPTFFCalculator, tell: Tell) -> Phase:
        require_crystal(atoms, "a formation energy", HullError)
        if relax_first:
            relaxation = relaxed(atoms, calculator, fmax, max_steps, tell)
            atoms, energy, std = relaxation.final, relaxation.energy, relaxation.energy_std
        else:
            atoms.calc = calculator
            energy, std = float(atoms.get_potential_energy()), calculator.results.get("energy_std")
        correction = mp2020_correction(atoms) if corrections == "mp2020" else 0.0
        return Phase("", atoms, energy + correction, std, correction)

    run = Run(context)
    results = run.results(Phase, resume)
    run.each(results, compute, lambda phase, tell: _verdict(phase))
    if len(results):
        phases = convex_hull([replace(phase, label=run.short(label)) for label, phase in results.items()])
        results.write(run.failures, hull=phases)
        run.print_records([(entry.label, entry) for entry in phases.entries])
        if report is not None:
            corrected = "" if corrections == "none" else f", corrections {corrections}"
            structures = {run.short(label): phase.atoms for label, phase in results.items()}
            hull_report(phases, f"{run.about}{corrected}.", structures).save(report)
    run.end()


def _verdict(phase: Phase) -> str:
    return f"{phase.energy / len(phase.atoms):.4f} eV/atom"
