"""``torch-gptff phonons``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from ase import Atoms

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Tell
    from torch_gptff.workflows import PhononSpectrum


def phonons(
    context: typer.Context,
    files: options.Files,
    model: options.Model = DEFAULT_MODEL,
    reference: options.Reference = None,
    json: options.JsonFile = None,
    report: options.ReportFile = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    relax_first: options.RelaxFirst = True,
    supercell: options.Supercell = None,
    min_length: options.MinLength = 12.0,
    displacement: options.Displacement = 0.01,
    born: Annotated[
        Path | None,
        typer.Option(
            "--born",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Dielectric tensor and Born effective charges of the crystal, in phonopy's format BORN, by which "
            "longitudinal and transverse optical modes split.",
            show_default=False,
        ),
    ] = None,
    fmax: options.ForceLimit = 0.001,
    max_steps: options.MaxSteps = 1000,
    d3: options.Dispersion = False,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float64",
) -> None:
    """Phonons: bands, density of states, heat capacity, and imaginary modes."""
    if born is not None and len(files) > 1:
        raise typer.BadParameter("holds the charges of one crystal: give one file of it", param_hint="--born")
    from torch_gptff.cli.each import run_each
    from torch_gptff.cli.relaxed import relaxed
    from torch_gptff.workflows import PhononSpectrum, phonon_spectrum
    from torch_gptff.workflows.reports.phonons import phonons_report

    def compute(atoms: Atoms, calculator: GPTFFCalculator, tell: Tell) -> PhononSpectrum:
        return phonon_spectrum(
            relaxed(atoms, calculator, fmax, max_steps, tell).final if relax_first else atoms,
            calculator,
            supercell=supercell,
            min_length=min_length,
            displacement=displacement,
            born=born,
            on_force=lambda done, total: tell.count("supercell", done, total),
        )

    run_each(
        context,
        PhononSpectrum,
        compute,
        verdict=_verdict,
        report=phonons_report,
        about="; phonons by finite displacements.",
    )


def _verdict(spectrum: PhononSpectrum) -> str:
    n, plural = spectrum.n_displaced, "" if spectrum.n_displaced == 1 else "s"
    remarks = "".join(f"; {remark}" for remark in spectrum.remarks)
    if not spectrum.is_stable:
        place = ", ".join(f"{value:.3g}" for value in spectrum.lowest_wave_vector)
        return f"IMAGINARY MODES: down to {spectrum.lowest_frequency:.2f} THz, at ({place}){remarks}"
    return f"stable, {n} displaced supercell{plural}{remarks}"
