"""``torch-gptff kappa``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from ase import Atoms

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Tell
    from torch_gptff.workflows import ThermalConductivity


def kappa(
    context: typer.Context,
    files: options.Files,
    model: options.Model = DEFAULT_MODEL,
    reference: options.Reference = None,
    json: options.JsonFile = None,
    report: options.ReportFile = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    relax_first: options.RelaxFirst = True,
    supercell: options.Supercell = None,
    min_length: options.MinLength = 10.0,
    pair_cutoff: Annotated[
        float | None,
        typer.Option(
            "--pair-cutoff",
            help="Largest distance of two atoms that are displaced together, Å; by default all pairs are.",
            show_default=False,
        ),
    ] = None,
    displacement: options.Displacement = 0.03,
    mesh_density: Annotated[
        float,
        typer.Option("--mesh", help="Wave vectors of the mesh are about 2π divided by this apart, Å.", min=5),
    ] = 60.0,
    temperature: Annotated[
        list[float] | None,
        typer.Option(
            help="Temperature, K; by default 100 to 1000 in steps of 50. May be given several times.",
            show_default=False,
        ),
    ] = None,
    isotopes: Annotated[bool, typer.Option("--isotopes", help="Scattering by natural isotopes, too.")] = False,
    fmax: options.ForceLimit = 0.001,
    max_steps: options.MaxSteps = 1000,
    d3: options.Dispersion = False,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float64",
) -> None:
    """Lattice thermal conductivity by three-phonon scattering, in the relaxation-time approximation."""
    from torch_gptff.cli.each import run_each
    from torch_gptff.cli.relaxed import relaxed
    from torch_gptff.workflows import ThermalConductivity, thermal_conductivity
    from torch_gptff.workflows.reports.kappa import kappa_report

    def compute(atoms: Atoms, calculator: GPTFFCalculator, tell: Tell) -> ThermalConductivity:
        return thermal_conductivity(
            relaxed(atoms, calculator, fmax, max_steps, tell).final if relax_first else atoms,
            calculator,
            supercell=supercell,
            min_length=min_length,
            pair_cutoff=pair_cutoff,
            displacement=displacement,
            temperatures=temperature or None,
            mesh_density=mesh_density,
            isotopes=isotopes,
            on_force=lambda done, total: tell.count("supercell", done, total),
        )

    run_each(
        context,
        ThermalConductivity,
        compute,
        verdict=_verdict,
        report=kappa_report,
        about="; three-phonon scattering, relaxation-time approximation.",
    )


def _verdict(crystal: ThermalConductivity) -> str:
    kelvin = crystal.mode_temperature
    value = float(crystal.mean_conductivity[crystal.temperatures == kelvin][0])
    return f"{value:.3g} W/(m K) at {kelvin:g} K, {crystal.n_displaced} displaced supercells"
