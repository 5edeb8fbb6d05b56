"""``torch-gptff relax``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from torch_gptff.cli.errors import Failures
from torch_gptff.cli.existing import choices
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
)
from torch_gptff.defaults import DEFAULT_MODEL
from torch_gptff.errors import ExistingResultsError


class Optimizer(str, Enum):
    """The names of :data:`torch_gptff.workflows.OPTIMIZERS`."""

    LBFGS = "LBFGS"
    FIRE = "FIRE"
    BFGS = "BFGS"


def relax(
    context: typer.Context,
    files: Files,
    model: Model = DEFAULT_MODEL,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="The folder for structures and trajectories.")
    ] = Path("relaxed"),
    fmax: Annotated[float, typer.Option(help="Converged below this force on every atom, in eV/Å ...", min=0)] = 0.05,
    smax: Annotated[
        float, typer.Option(help="... and below this stress, in GPa, where the cell relaxes.", min=0)
    ] = 0.1,
    fix_cell: Annotated[bool, typer.Option("--fix-cell", help="Relax the positions alone.")] = False,
    optimizer: Annotated[Optimizer, typer.Option(help="ASE's optimiser.", case_sensitive=False)] = Optimizer.LBFGS,
    max_steps: Annotated[int, typer.Option(help="Give up after so many steps.", min=0)] = 500,
    pressure: Annotated[float, typer.Option(help="That acts on crystals from outside, in GPa.", max=1000)] = 0.0,
    keep_symmetry: Annotated[
        bool, typer.Option("--keep-symmetry", help="Keep the space groups that crystals have, to 0.01 Å.")
    ] = False,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch",
            help="Relax many structures side by side, with one call of the model a step: faster for small crystals; "
            "without trajectories.",
        ),
    ] = False,
    batch_atoms: Annotated[int, typer.Option(help="Atoms of a batch.", min=1)] = 256,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Keep what the file of --json holds, or what a run of --batch has left, and go on with the rest.",
            is_eager=True,
        ),
    ] = False,
    overwrite: Overwrite = False,
    json: JsonFile = None,
    report: ReportFile = None,
    reference: Reference = None,
    allow_close: AllowClose = False,
    device: Device = None,
    dtype: Precision = DType.float32,
) -> None:
    """Relax positions, and the cell where there is one.

    DIR receives each structure as extxyz, as CIF too if it is a crystal, and the way there as an ASE trajectory.
    """
    from torch_gptff.cli.output import make_console

    console = make_console()
    with console.status(f"loading {model}"):
        from torch_gptff.cli.dependence import dependence
        from torch_gptff.cli.each import about_model
        from torch_gptff.cli.model import load_potential
        from torch_gptff.cli.relaxations import OutputNames, Settings, conclude, relax_all
        from torch_gptff.cli.relaxations_together import relax_together
        from torch_gptff.cli.results import Results
        from torch_gptff.io.files import claimed
        from torch_gptff.workflows import Relaxation

        if resume and json is None and not batch:
            raise typer.BadParameter("needs --json OUT, the file to go on with, or --batch", param_hint="--resume")
        context.with_resource(claimed(out))
        names = OutputNames(out, files, resume=resume, overwrite=overwrite)
        if names.existing and not resume and not overwrite:
            raise ExistingResultsError(f"--out {names.existing[0]} is there already; {choices(context)}")
        potential = load_potential(model, device, dtype, reference)

    settings = Settings(
        out=out,
        fmax=fmax,
        smax_gpa=smax,
        fix_cell=fix_cell,
        optimizer=optimizer.value,
        max_steps=max_steps,
        pressure_gpa=pressure,
        keep_symmetry=keep_symmetry,
        batch_atoms=batch_atoms,
    )
    failures, about = Failures(context), dependence(context, potential)
    results = Results(Relaxation, json, about, resume and json is not None)
    if batch:
        relax_together(files, potential, settings, console, failures, results, names, about)
    else:
        relax_all(files, potential, settings, console, failures, results, names)
    conclude(results, files, console, failures, report, about_model(context, potential))
    if failures or not all(relaxation.converged for _, relaxation in results.items()):
        raise typer.Exit(1)
