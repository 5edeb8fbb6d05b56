"""``torch-gptff neb``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL
from torch_gptff.errors import MigrationError

if TYPE_CHECKING:
    from ase import Atoms

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Tell
    from torch_gptff.workflows import MigrationPath


def neb(
    context: typer.Context,
    initial: Annotated[str, typer.Argument(metavar="INITIAL", help="File of the first structure.", show_default=False)],
    final: Annotated[
        str, typer.Argument(metavar="FINAL", help="File of the last structure, in the same cell.", show_default=False)
    ],
    model: options.Model = DEFAULT_MODEL,
    reference: options.Reference = None,
    json: options.JsonFile = None,
    report: options.ReportFile = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    relax_ends: Annotated[
        bool, typer.Option("--relax/--as-given", help="Relax the atoms of both ends first, or take them as given.")
    ] = True,
    images: Annotated[int, typer.Option(help="Number of images between the ends.", min=1)] = 5,
    keep_order: Annotated[
        bool, typer.Option("--keep-order", help="Atoms of one number are the same atom; do not match them.")
    ] = False,
    fmax: Annotated[float, typer.Option(help="Largest force on the band at convergence, eV/Å.", min=0)] = 0.05,
    max_steps: Annotated[int, typer.Option("--max-steps", help="Maximum number of steps.", min=0)] = 500,
    d3: options.Dispersion = False,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float64",
) -> None:
    """Migration barriers: the path of least energy between two structures, by a climbing nudged elastic band."""
    from torch_gptff.cli.each import Input, Run
    from torch_gptff.io.identity import structure_digest
    from torch_gptff.io.structures import read_labelled
    from torch_gptff.workflows import MigrationPath, migration_path
    from torch_gptff.workflows.reports.neb import neb_report

    def only_frame(file: str) -> Atoms:
        frames = read_labelled(file)
        if len(frames) > 1:
            raise MigrationError(f"{file} has {len(frames)} frames: choose one, {file}@0 or {file}@-1")
        (atoms,) = frames.values()
        run.failures.check(atoms)
        return atoms

    def compute(ends: tuple[Atoms, Atoms], calculator: GPTFFCalculator, tell: Tell) -> MigrationPath:
        tell("relaxing the ends" if relax_ends else "starting")
        return migration_path(
            *ends,
            calculator,
            images=images,
            relax_ends=relax_ends,
            match_atoms=not keep_order,
            fmax=fmax,
            max_steps=max_steps,
            on_step=lambda number, force: tell(f"step {number}: {force:.3f} eV/Å"),
        )

    run = Run(context)
    results = run.results(MigrationPath, resume)
    ends = only_frame(initial), only_frame(final)
    digest = " ".join(map(structure_digest, ends))
    pair = Input(f"{initial} to {final}", ends, digest, "1/1")
    run.each(results, compute, lambda path, tell: _verdict(path), inputs=[pair])
    run.print_records(results.items())
    if len(results) and report is not None:
        neb_report(results.items(), f"{run.about}; climbing nudged elastic band.").save(report)
    run.end(all(path.converged for _, path in results.items()))


def _verdict(path: MigrationPath) -> str:
    left = "" if path.converged else f", NOT CONVERGED ({path.fmax:.2g} eV/Å left)"
    remarks = "".join(f"; {remark}" for remark in path.remarks)
    return f"barrier {path.forward_barrier:.3f} eV, back {path.reverse_barrier:.3f} eV{left}{remarks}"
