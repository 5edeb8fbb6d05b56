"""``torch-gptff eos``."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from torch_gptff.cli.options import (
    AllowClose,
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
from torch_gptff.cli.output import UNCERTAINTY, Column, fixed, formula_of, per_atom
from torch_gptff.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from ase import Atoms

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Tell
    from torch_gptff.workflows import EquationOfState

COLUMNS = (
    Column("file", number=False),
    Column("formula", number=False),
    Column("V₀", "Å³/atom"),
    Column("E₀", "eV/atom"),
    UNCERTAINTY,
    Column("B₀", "GPa"),
    Column("B₀′"),
    Column("residual", "meV/atom"),
)

FOLLOW = 5
"""How many times the range of volumes may move where the minimum lies outside of it."""

SMAX_GPA = 0.1
"""The stress that a relaxation leaves: the minimum need only be in range."""


class Form(str, Enum):
    """The names of :data:`torch_gptff.workflows.eos.fit.FORMS`."""

    birch_murnaghan = "birch-murnaghan"
    vinet = "vinet"
    murnaghan = "murnaghan"
    poirier_tarantola = "poirier-tarantola"


def eos(
    context: typer.Context,
    files: Files,
    model: Model = DEFAULT_MODEL,
    reference: Reference = None,
    json: JsonFile = None,
    report: ReportFile = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    low: Annotated[
        float, typer.Option("--from", metavar="RATIO", help="The smallest volume, in units of that given.", min=0.05)
    ] = 0.94,
    high: Annotated[float, typer.Option("--to", metavar="RATIO", help="The largest.", max=20)] = 1.06,
    points: Annotated[int, typer.Option(help="Volumes, evenly spaced.", min=5)] = 13,
    form: Annotated[
        Form, typer.Option(help="The equation in the table; the others are fitted, too.", case_sensitive=False)
    ] = Form.birch_murnaghan,
    relax_first: Annotated[
        bool, typer.Option("--relax/--as-given", help="Relax positions and cell before, or take structures as given.")
    ] = True,
    relax_positions: Annotated[
        bool, typer.Option("--relax-positions", help="Relax the atoms at every volume.")
    ] = False,
    fmax: Annotated[float, typer.Option(help="To which structures and atoms relax, in eV/Å.", min=0)] = 0.01,
    max_steps: Annotated[int, typer.Option(help="Give a relaxation up after so many steps.", min=0)] = 500,
    allow_close: AllowClose = False,
    device: Device = None,
    dtype: Precision = DType.float64,
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
            form=form.value,
            follow=FOLLOW,
            on_volume=lambda done, total: tell(f"volume {done} of {total}"),
        )

    curves = run_each(
        context,
        EquationOfState,
        compute,
        verdict=_verdict,
        columns=COLUMNS,
        row=_row,
        report=eos_report,
        about=f"cells scaled in {points} volumes, {low:g} to {high:g} times that of the structure.",
    )
    if not all(curve.fits and not curve.n_unconverged for curve in curves):
        raise typer.Exit(1)


def _verdict(curve: EquationOfState) -> str:
    if not curve.fits:
        return f"NO FIT: {curve.problem}"
    left = "" if not curve.n_unconverged else f", atoms NOT CONVERGED at {curve.n_unconverged} of them"
    remarks = "".join(f"; {remark}" for remark in curve.remarks)
    return f"a minimum among {len(curve.volumes)} volumes{left}{remarks}"


def _row(label: str, curve: EquationOfState) -> list[str]:
    n_atoms = len(curve.atoms)
    fit = curve.fits[0] if curve.fits else None
    return [
        label,
        formula_of(curve.atoms),
        fixed(None if fit is None else fit.volume / n_atoms, 3),
        fixed(None if fit is None else fit.energy / n_atoms, 4),
        per_atom(None if fit is None else curve.energy_std, n_atoms),
        fixed(None if fit is None else fit.bulk_modulus, 1),
        fixed(None if fit is None else fit.bulk_modulus_derivative, 2),
        fixed(None if fit is None else 1000 * fit.residual / n_atoms, 3),
    ]
