"""``torch-gptff phonons``."""

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

if TYPE_CHECKING:
    from ase import Atoms

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Tell
    from torch_gptff.workflows import PhononSpectrum

COLUMNS = (
    Column("file", number=False),
    Column("formula", number=False),
    Column("lowest", "THz"),
    Column("highest", "THz"),
    Column("C 300 K", "J/mol/K"),
    Column("per atom", "J/mol/K"),
    Column("zero point", "meV/atom"),
    Column("stable", number=False),
)


def phonons(
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
    allow_close: AllowClose = False,
    device: Device = None,
    dtype: Precision = DType.float64,
) -> None:
    """Phonons: bands, density of states, heat capacity, and imaginary modes."""
    from torch_gptff.cli.each import run_each
    from torch_gptff.cli.relaxed import relaxed
    from torch_gptff.workflows import PhononSpectrum, phonon_spectrum
    from torch_gptff.workflows.reports.phonons import phonon_report

    def compute(atoms: Atoms, calculator: GPTFFCalculator, tell: Tell) -> PhononSpectrum:
        return phonon_spectrum(
            relaxed(atoms, calculator, fmax, max_steps, tell).final if relax_first else atoms,
            calculator,
            supercell=supercell,
            min_length=min_length,
            displacement=displacement,
            on_force=lambda done, total: tell(f"supercell {done} of {total}"),
        )

    run_each(
        context,
        PhononSpectrum,
        compute,
        verdict=_verdict,
        columns=COLUMNS,
        row=_row,
        report=phonon_report,
        about="phonons by finite displacements.",
    )


def _verdict(spectrum: PhononSpectrum) -> str:
    n, plural = spectrum.n_displaced, "" if spectrum.n_displaced == 1 else "s"
    if not spectrum.is_stable:
        place = ", ".join(f"{value:.3g}" for value in spectrum.lowest_wave_vector)
        return f"IMAGINARY MODES: down to {spectrum.lowest_frequency:.2f} THz, at ({place})"
    return f"stable, {n} displaced supercell{plural}"


def _row(label: str, spectrum: PhononSpectrum) -> list[str]:
    return [
        label,
        formula_of(spectrum.atoms),
        fixed(spectrum.lowest_frequency, 2),
        fixed(float(spectrum.band_frequencies.max()), 2),
        fixed(spectrum.heat_capacity_300K_formula_unit, 2),
        fixed(spectrum.heat_capacity_300K, 2),
        fixed(1000 * spectrum.zero_point_energy, 1),
        "yes" if spectrum.is_stable else "NO",
    ]
