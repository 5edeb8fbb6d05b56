"""``torch-gptff hull``."""

from __future__ import annotations

from typing import Annotated

import typer

from torch_gptff.cli.errors import Failures
from torch_gptff.cli.options import (
    Corrections,
    Device,
    DType,
    Files,
    JsonFile,
    Model,
    Precision,
    Reference,
    ReportFile,
    Resume,
)
from torch_gptff.defaults import DEFAULT_MODEL


def hull(
    context: typer.Context,
    files: Files,
    model: Model = DEFAULT_MODEL,
    reference: Reference = None,
    json: JsonFile = None,
    report: ReportFile = None,
    resume: Resume = False,
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
    device: Device = None,
    dtype: Precision = DType.float32,
) -> None:
    """Formation energies and the convex hull of phases; the files must hold each element by itself too."""
    from torch_gptff.cli.output import make_console

    console = make_console()
    with console.status(f"loading {model}"):
        from torch_gptff.cli.model import load_potential
        from torch_gptff.cli.phases import Settings, find_hull

        potential = load_potential(model, device, dtype, reference)

    settings = Settings(model, dtype.value, relax_first, fmax, max_steps, corrections.value)
    failures = Failures(context)
    find_hull(files, potential, settings, console, failures, json, report, resume)
    if failures:
        raise typer.Exit(1)
