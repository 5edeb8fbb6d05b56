"""``torch-gptff relax``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from torch_gptff.cli.errors import Failures
from torch_gptff.cli.options import Device, DType, Files, Model, Precision, Reference


class Optimizer(str, Enum):
    """The names of :data:`torch_gptff.workflows.OPTIMIZERS`."""

    FIRE = "FIRE"
    LBFGS = "LBFGS"
    BFGS = "BFGS"


def relax(
    context: typer.Context,
    files: Files,
    model: Model,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="The folder for structures and trajectories.")
    ] = Path("relaxed"),
    fmax: Annotated[float, typer.Option(help="Converged below this force on every atom, in eV/Å ...", min=0)] = 0.05,
    smax: Annotated[
        float, typer.Option(help="... and below this stress, in GPa, where the cell relaxes.", min=0)
    ] = 0.1,
    fix_cell: Annotated[bool, typer.Option("--fix-cell", help="Relax the positions alone.")] = False,
    optimizer: Annotated[Optimizer, typer.Option(help="ASE's optimiser.", case_sensitive=False)] = Optimizer.FIRE,
    max_steps: Annotated[int, typer.Option(help="Give up after so many steps.", min=0)] = 500,
    reference: Reference = None,
    device: Device = None,
    dtype: Precision = DType.float32,
) -> None:
    """Relax positions, and the cell where there is one.

    DIR receives each structure as extxyz, as CIF too if it is a crystal, and the way there as an ASE trajectory.
    """
    from torch_gptff.cli.output import make_console

    console = make_console()
    with console.status(f"loading {model}"):
        from torch_gptff.cli.model import load_potential
        from torch_gptff.cli.relaxations import Settings, relax_all

        potential = load_potential(model, device, dtype, reference)

    settings = Settings(
        out=out, fmax=fmax, smax_gpa=smax, fix_cell=fix_cell, optimizer=optimizer.value, max_steps=max_steps
    )
    if not relax_all(files, potential, settings, console, Failures(context)):
        raise typer.Exit(1)
