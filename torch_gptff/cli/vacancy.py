"""``torch-gptff vacancy``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from ase import Atoms

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Tell
    from torch_gptff.workflows.vacancy import VacancyFormation


def vacancy(
    context: typer.Context,
    files: options.Files,
    model: options.Model = DEFAULT_MODEL,
    reference: options.Reference = None,
    json: options.JsonFile = None,
    report: options.ReportFile = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    relax_first: options.RelaxFirst = True,
    unrelaxed: Annotated[
        bool, typer.Option("--unrelaxed", help="Do not relax the atoms around the vacancies.")
    ] = False,
    chemical_potential: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EL=EV",
            help="Energy of an element per atom, eV, [bold]O=-4.95[/bold]; by default in its own crystal. May be given "
            "several times.",
            show_default=False,
        ),
    ] = None,
    supercell: options.Supercell = None,
    min_length: options.MinLength = 10.0,
    fmax: options.ForceLimit = 0.01,
    max_steps: options.MaxSteps = 500,
    symprec: Annotated[float, typer.Option(help="Tolerance of the search for equivalent sites, Å.", min=1e-5)] = 0.01,
    d3: options.Dispersion = False,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float64",
) -> None:
    """Formation energies of neutral vacancies, one for each symmetry-distinct site."""
    from torch_gptff.cli.each import run_each
    from torch_gptff.cli.relaxed import relaxed
    from torch_gptff.workflows.reports.vacancy import vacancy_report
    from torch_gptff.workflows.vacancy import VacancyFormation, vacancy_formation

    potentials = dict(options.element_and_number(each, "--chemical-potential") for each in chemical_potential or ())

    def compute(atoms: Atoms, calculator: GPTFFCalculator, tell: Tell) -> VacancyFormation:
        return vacancy_formation(
            relaxed(atoms, calculator, fmax, max_steps, tell).final if relax_first else atoms,
            calculator,
            chemical_potentials=potentials,
            supercell=supercell,
            min_length=min_length,
            relax_positions=not unrelaxed,
            fmax=fmax,
            max_steps=max_steps,
            symprec=symprec,
            on_vacancy=lambda done, total: tell.count("vacancy", done, total),
        )

    run_each(
        context,
        VacancyFormation,
        compute,
        verdict=_verdict,
        rows=lambda crystal: crystal.vacancies,
        report=vacancy_report,
        about="; neutral vacancies in the cell of the crystal.",
        is_good=lambda crystal: all(each.converged for each in crystal.vacancies),
    )


def _verdict(crystal: VacancyFormation) -> str:
    energies = [each.energy for each in crystal.vacancies]
    n = len(energies)
    left = sum(not each.converged for each in crystal.vacancies)
    remark = f", {left} NOT CONVERGED" if left else ""
    return f"{n} vacanc{'y' if n == 1 else 'ies'}, from {min(energies):.3f} eV{remark}"
