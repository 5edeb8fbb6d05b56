"""``torch-gptff qha``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from ase import Atoms

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Tell
    from torch_gptff.workflows import QuasiHarmonicCrystal


def qha(
    context: typer.Context,
    files: options.Files,
    model: options.Model = DEFAULT_MODEL,
    reference: options.Reference = None,
    json: options.JsonFile = None,
    report: options.ReportFile = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    relax_first: options.RelaxFirst = True,
    low: options.SmallestVolume = 0.96,
    high: options.LargestVolume = 1.08,
    points: options.VolumeCount = 7,
    t_max: Annotated[float, typer.Option("--t-max", help="Highest temperature, K.", min=1)] = 1000.0,
    t_step: Annotated[float, typer.Option("--t-step", help="Step of the temperature, K.", min=0.1)] = 10.0,
    supercell: options.Supercell = None,
    min_length: options.MinLength = 12.0,
    displacement: options.Displacement = 0.01,
    fmax: options.ForceLimit = 0.001,
    max_steps: options.MaxSteps = 1000,
    d3: options.Dispersion = False,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float64",
) -> None:
    """Thermal expansion: volume, bulk modulus, heat capacity and Gibbs energy by temperature; Grüneisen parameters."""
    if not low < 1 < high:
        raise typer.BadParameter(f"--from {low:g} is not below 1, or --to {high:g} is not above it")
    import numpy as np

    from torch_gptff.cli.each import run_each
    from torch_gptff.cli.relaxed import relaxed
    from torch_gptff.workflows import QuasiHarmonicCrystal, quasi_harmonic
    from torch_gptff.workflows.reports.qha import qha_report

    def compute(atoms: Atoms, calculator: GPTFFCalculator, tell: Tell) -> QuasiHarmonicCrystal:
        return quasi_harmonic(
            relaxed(atoms, calculator, fmax, max_steps, tell).final if relax_first else atoms,
            calculator,
            ratios=np.linspace(low, high, points).tolist(),
            max_temperature=t_max,
            temperature_step=t_step,
            supercell=supercell,
            min_length=min_length,
            displacement=displacement,
            fmax=fmax,
            max_steps=max_steps,
            on_volume=lambda done, total: tell.count("volume", done, total),
        )

    run_each(
        context,
        QuasiHarmonicCrystal,
        compute,
        verdict=_verdict,
        report=qha_report,
        about=f"; phonons at {points} volumes, {low:g} to {high:g} times that of the structure.",
        is_good=lambda crystal: not crystal.n_unconverged,
    )


def _verdict(crystal: QuasiHarmonicCrystal) -> str:
    remarks = "".join(f"; {remark}" for remark in crystal.remarks)
    return f"expands between 0 and {crystal.temperatures[-1]:g} K by {_expansion(crystal):.2f} %{remarks}"


def _expansion(crystal: QuasiHarmonicCrystal) -> float:
    return 100 * float(crystal.volume[-1] / crystal.volume[0] - 1)
