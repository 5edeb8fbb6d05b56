"""``torch-gptff eos``."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from torch_gptff.cli.errors import Failures
from torch_gptff.cli.options import Device, DType, Files, JsonFile, Model, Precision, Reference, ReportFile, Resume
from torch_gptff.defaults import DEFAULT_MODEL


class Form(str, Enum):
    """The names of :data:`torch_gptff.workflows.eos_fit.FORMS`."""

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
    low: Annotated[
        float, typer.Option("--from", metavar="RATIO", help="The smallest volume, in units of that given.", min=0.05)
    ] = 0.94,
    high: Annotated[float, typer.Option("--to", metavar="RATIO", help="The largest.", max=20)] = 1.06,
    points: Annotated[int, typer.Option(help="Volumes, evenly spaced.", min=5)] = 13,
    form: Annotated[
        Form, typer.Option(help="The equation in the table; the others are fitted, too.", case_sensitive=False)
    ] = Form.birch_murnaghan,
    relax_first: Annotated[
        bool, typer.Option("--relax", help="Relax positions and cell before, so that the minimum is in range.")
    ] = False,
    relax_positions: Annotated[
        bool, typer.Option("--relax-positions", help="Relax the atoms at every volume.")
    ] = False,
    fmax: Annotated[float, typer.Option(help="To which structures and atoms relax, in eV/Å.", min=0)] = 0.01,
    max_steps: Annotated[int, typer.Option(help="Give a relaxation up after so many steps.", min=0)] = 500,
    device: Device = None,
    dtype: Precision = DType.float64,
) -> None:
    """Equations of state: energy by volume, V₀, B₀ and B₀′."""
    from torch_gptff.cli.output import make_console

    if not low < high:
        raise typer.BadParameter(f"--from {low:g} is not below --to {high:g}")
    console = make_console()
    with console.status(f"loading {model}"):
        from torch_gptff.cli.equations_of_state import Settings, fit_all
        from torch_gptff.cli.model import load_potential

        potential = load_potential(model, device, dtype, reference)

    settings = Settings(
        model=model,
        dtype=dtype.value,
        low=low,
        high=high,
        points=points,
        form=form.value,
        relax_first=relax_first,
        relax_positions=relax_positions,
        fmax=fmax,
        max_steps=max_steps,
    )
    failures = Failures(context)
    if not fit_all(files, potential, settings, console, failures, json, report, resume):
        raise typer.Exit(1)
