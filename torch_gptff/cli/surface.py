"""``torch-gptff surface``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from ase import Atoms

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Tell
    from torch_gptff.workflows import SurfaceEnergies


def surface(
    context: typer.Context,
    files: options.Files,
    model: options.Model = DEFAULT_MODEL,
    reference: options.Reference = None,
    json: options.JsonFile = None,
    report: options.ReportFile = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    relax_first: options.RelaxFirst = True,
    max_index: Annotated[int, typer.Option("--max-index", help="Largest Miller index.", min=1, max=5)] = 1,
    thickness: Annotated[float, typer.Option(help="Smallest thickness of slabs, Å.", min=1)] = 12.0,
    vacuum: Annotated[float, typer.Option(help="Smallest distance between a slab and its images, Å.", min=1)] = 15.0,
    unrelaxed: Annotated[bool, typer.Option("--unrelaxed", help="Do not relax the atoms of slabs.")] = False,
    fmax: options.ForceLimit = 0.01,
    max_steps: options.MaxSteps = 500,
    symprec: Annotated[float, typer.Option(help="Tolerance of the search for symmetry, Å.", min=1e-5)] = 0.01,
    d3: options.Dispersion = False,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float64",
) -> None:
    """Surface energies of all terminations of planes with low Miller indices, and the Wulff shape."""
    from torch_gptff.cli.each import run_each
    from torch_gptff.cli.relaxed import relaxed
    from torch_gptff.workflows import SurfaceEnergies, surface_energies
    from torch_gptff.workflows.reports.surface import surface_report

    def compute(atoms: Atoms, calculator: GPTFFCalculator, tell: Tell) -> SurfaceEnergies:
        return surface_energies(
            relaxed(atoms, calculator, fmax, max_steps, tell).final if relax_first else atoms,
            calculator,
            max_index=max_index,
            thickness=thickness,
            vacuum=vacuum,
            relax_positions=not unrelaxed,
            fmax=fmax,
            max_steps=max_steps,
            symprec=symprec,
            on_surface=lambda done, total: tell.count("surface", done, total),
        )

    run_each(
        context,
        SurfaceEnergies,
        compute,
        verdict=_verdict,
        rows=lambda crystal: crystal.surfaces,
        report=surface_report,
        about=f"; slabs of at least {thickness:g} Å in {vacuum:g} Å of vacuum.",
        is_good=lambda crystal: all(each.converged for each in crystal.surfaces),
    )


def _verdict(crystal: SurfaceEnergies) -> str:
    from torch_gptff.report.tables import number_of

    least = min(crystal.surfaces, key=lambda each: each.energy)
    found = number_of(len(crystal.surfaces), "surfaces")
    left = sum(not each.converged for each in crystal.surfaces)
    remarks = "".join(f"; {remark}" for remark in crystal.remarks)
    converged = f", {left} NOT CONVERGED" if left else ""
    return f"{found}, least energy at {least.name}{converged}{remarks}"
