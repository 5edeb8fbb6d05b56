"""``torch-gptff elastic``."""

from __future__ import annotations

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
from torch_gptff.cli.output import Column, fixed, formula_of
from torch_gptff.defaults import DEFAULT_MODEL
from torch_gptff.errors import ElasticityError

if TYPE_CHECKING:
    from ase import Atoms

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Tell
    from torch_gptff.workflows import ElasticTensor

COLUMNS = (
    Column("file", number=False),
    Column("formula", number=False),
    Column("bulk", "GPa"),
    Column("shear", "GPa"),
    Column("Young", "GPa"),
    Column("Poisson"),
    Column("anis."),
    Column("stress", "GPa"),
    Column("stable", number=False),
)


def elastic(
    context: typer.Context,
    files: Files,
    model: Model = DEFAULT_MODEL,
    reference: Reference = None,
    json: JsonFile = None,
    report: ReportFile = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    relax_first: Annotated[
        bool, typer.Option("--relax/--as-given", help="Relax positions and cell before, or take structures as given.")
    ] = True,
    clamped: Annotated[
        bool, typer.Option("--clamped", help="Keep the atoms in place within strained cells: clamped ions.")
    ] = False,
    max_strain: Annotated[float, typer.Option(help="The largest strain.", min=1e-5, max=0.1)] = 0.005,
    fmax: Annotated[float, typer.Option(help="To which structures and strained cells relax, in eV/Å.", min=0)] = 0.001,
    max_steps: Annotated[int, typer.Option(help="Give a relaxation up after so many steps.", min=0)] = 1000,
    symprec: Annotated[float, typer.Option(help="To which symmetry is looked for, in Å; 0 for none.", min=0)] = 1e-3,
    allow_close: AllowClose = False,
    device: Device = None,
    dtype: Precision = DType.float64,
) -> None:
    """Elastic tensors, moduli and stability of crystals."""
    from torch_gptff.cli.each import run_each
    from torch_gptff.cli.relaxed import relaxed
    from torch_gptff.workflows import ElasticTensor, elastic_tensor
    from torch_gptff.workflows.reports.elastic import elasticity_report

    def compute(atoms: Atoms, calculator: GPTFFCalculator, tell: Tell) -> ElasticTensor:
        return elastic_tensor(
            relaxed(atoms, calculator, fmax, max_steps, tell).final if relax_first else atoms,
            calculator,
            max_strain=max_strain,
            relax_positions=not clamped,
            fmax=fmax,
            max_steps=max_steps,
            symprec=symprec or None,
            on_strain=lambda done, total: tell(f"strain {done} of {total}"),
        )

    run_each(
        context,
        ElasticTensor,
        compute,
        verdict=_verdict,
        columns=COLUMNS,
        row=_row,
        report=elasticity_report,
        about="elastic tensors by finite strains.",
    )


def _verdict(tensor: ElasticTensor) -> str:
    least = float(tensor.stability_eigenvalues[0])
    if not tensor.is_stable:
        return f"NOT STABLE: some strain lowers the energy (least eigenvalue {least:.1f} GPa)"
    return f"stable, {tensor.n_strained} strained structures"


def _row(label: str, tensor: ElasticTensor) -> list[str]:
    moduli: list[float | None]
    try:
        moduli = [
            *(tensor.bulk_modulus, tensor.shear_modulus, tensor.young_modulus),
            *(tensor.poisson_ratio, tensor.universal_anisotropy),
        ]
    except ElasticityError:  # singular
        moduli = [None] * 5
    return [
        label,
        formula_of(tensor.atoms),
        *(fixed(value, digits) for value, digits in zip(moduli, (1, 1, 1, 3, 2), strict=True)),
        fixed(float(abs(tensor.residual_stress).max()), 3),
        "yes" if tensor.is_stable else "NO",
    ]
