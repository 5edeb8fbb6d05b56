"""``torch-gptff phonons``."""

from __future__ import annotations

from typing import Annotated

import typer

from torch_gptff.cli.errors import Failures
from torch_gptff.cli.options import Device, DType, Files, JsonFile, Model, Precision, Reference, ReportFile, Resume
from torch_gptff.defaults import DEFAULT_MODEL


def phonons(
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
    supercell: Annotated[
        tuple[int, int, int] | None,
        typer.Option(help="How often to repeat the cell along its vectors.", metavar="N N N", show_default=False),
    ] = None,
    min_length: Annotated[
        float, typer.Option(help="Without --supercell: between opposite faces of the supercell, in Å.", min=1)
    ] = 12.0,
    displacement: Annotated[float, typer.Option(help="Of an atom, in Å.", min=1e-5, max=0.5)] = 0.01,
    fmax: Annotated[float, typer.Option(help="To which structures relax, in eV/Å.", min=0)] = 0.001,
    max_steps: Annotated[int, typer.Option(help="Give a relaxation up after so many steps.", min=0)] = 1000,
    device: Device = None,
    dtype: Precision = DType.float64,
) -> None:
    """Phonons: bands, density of states, heat capacity, and imaginary modes."""
    from torch_gptff.cli.output import make_console

    console = make_console()
    with console.status(f"loading {model}"):
        from torch_gptff.cli.model import load_potential
        from torch_gptff.cli.phonon_spectra import Settings, compute_all

        potential = load_potential(model, device, dtype, reference)

    settings = Settings(
        model=model,
        dtype=dtype.value,
        relax_first=relax_first,
        supercell=supercell,
        min_length=min_length,
        displacement=displacement,
        fmax=fmax,
        max_steps=max_steps,
    )
    failures = Failures(context)
    compute_all(files, potential, settings, console, failures, json, report, resume)
    if failures:
        raise typer.Exit(1)
