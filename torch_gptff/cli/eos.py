"""``torch-gptff eos``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from ase import Atoms

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Tell
    from torch_gptff.workflows import EquationOfState

FOLLOW = 5
"""Number of times that the range of volumes may move to a minimum outside of it."""

SMAX_GPA = 0.1
"""Largest stress after a relaxation, GPa: the minimum need only be in range."""


Form = Literal["birch-murnaghan", "vinet", "murnaghan", "poirier-tarantola"]
"""Names of :data:`torch_gptff.workflows.eos.fit.FORMS`."""


def eos(
    context: typer.Context,
    files: options.Files,
    model: options.Model = DEFAULT_MODEL,
    reference: options.Reference = None,
    json: options.JsonFile = None,
    report: options.ReportFile = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    low: options.SmallestVolume = 0.94,
    high: options.LargestVolume = 1.06,
    points: options.VolumeCount = 13,
    form: Annotated[
        Form, typer.Option(help="Equation in the table; the others are fitted as well.", case_sensitive=False)
    ] = "birch-murnaghan",
    relax_first: options.RelaxFirst = True,
    relax_positions: Annotated[
        bool, typer.Option("--relax-positions", help="Relax the atoms at every volume.")
    ] = False,
    fmax: options.ForceLimit = 0.01,
    max_steps: options.MaxSteps = 500,
    d3: options.Dispersion = False,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float64",
) -> None:
    """Equations of state: energy by volume, V₀, B₀ and B₀′."""
    if not low < high:
        raise typer.BadParameter(f"--from {low:g} is not below --to {high:g}")
    import numpy as np

    from torch_gptff.cli.each import run_each
    from torch_gptff.cli.relaxed import relaxed
    from torch_gptff.workflows import EquationOfState, equation_of_state
    from torch_gptff.workflows.reports.eos import eos_report

    def compute(atoms: Atoms, calculator: GPTFFCalculator, tell: Tell) -> EquationOfState:
        if relax_first:
            atoms = relaxed(atoms, calculator, fmax, max_steps, tell, smax_gpa=SMAX_GPA).final
        return equation_of_state(
            atoms,
            calculator,
            ratios=np.linspace(low, high, points).tolist(),
            relax_positions=relax_positions,
            fmax=fmax,
            max_steps=max_steps,
            form=form,
            follow=FOLLOW,
            on_volume=lambda done, total: tell.count("volume", done, total),
        )

    run_each(
        context,
        EquationOfState,
        compute,
        verdict=_verdict,
        report=eos_report,
        about=f"; cells scaled to {points} volumes, {low:g} to {high:g} times that of the structure.",
        is_good=lambda curve: bool(curve.fits) and not curve.n_unconverged,
    )


def _verdict(curve: EquationOfState) -> str:
    if not curve.fits:
        return f"NO FIT: {curve.problem}"
    left = "" if not curve.n_unconverged else f", atoms NOT CONVERGED at {curve.n_unconverged} of them"
    remarks = "".join(f"; {remark}" for remark in curve.remarks)
    return f"a minimum among {len(curve.volumes)} volumes{left}{remarks}"
