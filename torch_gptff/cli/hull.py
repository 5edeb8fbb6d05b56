"""``torch-gptff hull``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from torch_gptff.cli.options import (
    AllowClose,
    Corrections,
    Device,
    DType,
    Files,
    JsonFile,
    Model,
    Overwrite,
    Precision,
    Reference,
    ReportFile,
    Resume,
)
from torch_gptff.cli.output import UNCERTAINTY, Column, fixed, per_atom
from torch_gptff.defaults import DEFAULT_MODEL
from torch_gptff.errors import HullError

if TYPE_CHECKING:
    from ase import Atoms

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Tell
    from torch_gptff.workflows import HullEntry, Phase

COLUMNS = (
    Column("file", number=False),
    Column("formula", number=False),
    Column("energy", "eV/atom"),
    UNCERTAINTY,
    Column("formation", "meV/atom"),
    Column("above hull", "meV/atom"),
    Column("decomposes into", number=False),
)


def hull(
    context: typer.Context,
    files: Files,
    model: Model = DEFAULT_MODEL,
    reference: Reference = None,
    json: JsonFile = None,
    report: ReportFile = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    relax_first: Annotated[
        bool, typer.Option("--relax/--as-given", help="Relax positions and cell, or take structures as given.")
    ] = True,
    fmax: Annotated[float, typer.Option(help="To which structures relax, in eV/Å.", min=0)] = 0.01,
    max_steps: Annotated[int, typer.Option(help="Give a relaxation up after so many steps.", min=0)] = 1000,
    corrections: Annotated[
        Corrections,
        typer.Option(
            help="Corrections of energies. [bold]mp2020[/bold]: those of the Materials Project, for models in its "
            "reference (PBE and PBE+U)."
        ),
    ] = Corrections.none,
    allow_close: AllowClose = False,
    device: Device = None,
    dtype: Precision = DType.float32,
) -> None:
    """Formation energies and the convex hull of phases; the files must hold each element by itself too."""
    from torch_gptff.cli.each import compute_files
    from torch_gptff.cli.output import print_table, short_labels
    from torch_gptff.cli.relaxed import relaxed
    from torch_gptff.workflows import Phase, convex_hull
    from torch_gptff.workflows.corrections import mp2020_correction
    from torch_gptff.workflows.reports.hull import hull_report

    def compute(atoms: Atoms, calculator: GPTFFCalculator, tell: Tell) -> Phase:
        if not atoms.pbc.all():
            raise HullError("a phase is a crystal, periodic in three directions")
        if relax_first:
            relaxation = relaxed(atoms, calculator, fmax, max_steps, tell)
            atoms, energy, std = relaxation.final, relaxation.energy, relaxation.energy_std
        else:
            atoms.calc = calculator
            energy, std = float(atoms.get_potential_energy()), calculator.results.get("energy_std")
        correction = mp2020_correction(atoms) if corrections is Corrections.mp2020 else 0.0
        return Phase("", atoms, energy + correction, std, correction)

    computed = compute_files(context, Phase, compute, _verdict)
    console, results = computed.console, computed.results
    if len(results):
        short = short_labels(console, files)
        phases = convex_hull([replace(phase, label=short(label)) for label, phase in results.items()])
        results.write(computed.failures, hull=phases)
        print_table(console, COLUMNS, [_row(entry) for entry in phases.entries])
        if report is not None:
            corrected = "" if corrections is Corrections.none else f", corrections {corrections.value}"
            hull_report(phases, f"{computed.about}{corrected}.").save(report)
    if computed.failures:
        raise typer.Exit(1)


def _verdict(phase: Phase) -> str:
    return f"{phase.energy / len(phase.atoms):.4f} eV/atom"


def _row(entry: HullEntry) -> list[str]:
    from torch_gptff.workflows.reports.hull import decomposed

    return [
        entry.label,
        entry.formula,
        fixed(entry.energy_per_atom, 4),
        per_atom(entry.energy_std_per_atom, 1),
        fixed(1000 * entry.formation_energy, 1),
        fixed(1000 * entry.energy_above_hull, 1),
        decomposed(entry) or "stable",
    ]
