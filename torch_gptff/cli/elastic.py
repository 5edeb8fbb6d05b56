"""``torch-gptff elastic``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from ase import Atoms

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Tell
    from torch_gptff.workflows import ElasticTensor


def elastic(
    context: typer.Context,
    files: options.Files,
    model: options.Model = DEFAULT_MODEL,
    reference: options.Reference = None,
    json: options.JsonFile = None,
    report: options.ReportFile = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    relax_first: options.RelaxFirst = True,
    clamped: Annotated[
        bool, typer.Option("--clamped", help="Do not relax atoms within strained cells (clamped ions).")
    ] = False,
    max_strain: Annotated[float, typer.Option(help="Largest strain.", min=1e-5, max=0.1)] = 0.005,
    fmax: options.ForceLimit = 0.001,
    max_steps: options.MaxSteps = 1000,
    symprec: Annotated[
        float, typer.Option(help="Tolerance of the symmetry search, Å; 0 uses no symmetry.", min=0)
    ] = 1e-3,
    d3: options.Dispersion = False,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float64",
) -> None:
    """Elastic tensors, moduli and stability of crystals."""
    from torch_gptff.cli.each import run_each
    from torch_gptff.cli.relaxed import relaxed
    from torch_gptff.workflows import ElasticTensor, elastic_tensor
    from torch_gptff.workflows.reports.elastic import elastic_report

    def compute(atoms: Atoms, calculator: GPTFFCalculator, tell: Tell) -> ElasticTensor:
        return elastic_tensor(
            relaxed(atoms, calculator, fmax, max_steps, tell).final if relax_first else atoms,
            calculator,
            max_strain=max_strain,
            relax_positions=not clamped,
            fmax=fmax,
            max_steps=max_steps,
            symprec=symprec or None,
            on_strain=lambda done, total: tell.count("strain", done, total),
        )

    run_each(
        context,
        ElasticTensor,
        compute,
        verdict=_verdict,
        report=elastic_report,
        about="; elastic tensors by finite strains.",
    )


def _verdict(tensor: ElasticTensor) -> str:
    least = float(tensor.stability_eigenvalues[0])
    if not tensor.is_stable:
        return f"NOT STABLE: some strain lowers the energy (least eigenvalue {least:.1f} GPa)"
    return f"stable, {tensor.n_strained} strained structures"
