"""``torch-gptff elastic``."""

from __future__ import annotations

from typing import Annotated

import typer

from torch_gptff.cli.errors import Failures
from torch_gptff.cli.options import Device, DType, Files, JsonFile, Model, Precision, Reference, ReportFile, Resume
from torch_gptff.defaults import DEFAULT_MODEL


def elastic(
    context: typer.Context,
    files: Files,
    model: Model = DEFAULT_MODEL,
    reference: Reference = None,
    json: JsonFile = None,
    report: ReportFile = None,
    resume: Resume = False,
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
    device: Device = None,
    dtype: Precision = DType.float64,
) -> None:
    """Elastic tensors, moduli and stability of crystals."""
    from torch_gptff.cli.output import make_console

    console = make_console()
    with console.status(f"loading {model}"):
        from torch_gptff.cli.elastic_tensors import Settings, measure_all
        from torch_gptff.cli.model import load_potential

        potential = load_potential(model, device, dtype, reference)

    settings = Settings(
        model=model,
        dtype=dtype.value,
        relax_first=relax_first,
        clamped=clamped,
        max_strain=max_strain,
        fmax=fmax,
        max_steps=max_steps,
        symprec=symprec,
    )
    failures = Failures(context)
    measure_all(files, potential, settings, console, failures, json, report, resume)
    if failures:
        raise typer.Exit(1)
