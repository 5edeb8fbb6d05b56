"""Phonons of a list of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ase import Atoms
from rich.console import Console

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.cli.each import Tell, compute_each, print_results
from torch_gptff.cli.errors import Failures
from torch_gptff.cli.output import Column, fixed
from torch_gptff.cli.relaxed import relaxed
from torch_gptff.cli.results import Results
from torch_gptff.graph.formula import formula_of
from torch_gptff.potential import Potential
from torch_gptff.workflows import PhononSpectrum, phonon_spectrum
from torch_gptff.workflows.reports.phonons import phonon_report

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


@dataclass(frozen=True)
class Settings:
    """The options of ``torch-gptff phonons`` that results depend on."""

    model: str
    dtype: str
    relax_first: bool
    supercell: tuple[int, int, int] | None
    min_length: float
    displacement: float
    fmax: float
    max_steps: int


def compute_all(
    files: Sequence[str],
    potential: Potential,
    settings: Settings,
    console: Console,
    failures: Failures,
    json: Path | None,
    report: Path | None,
    resume: bool,
) -> None:
    """The phonons of every structure of every file: a table, a JSON file and a report."""
    calculator = GPTFFCalculator(potential, device=next(potential.parameters()).device)
    results = Results(PhononSpectrum, json, asdict(settings), resume)

    def compute(atoms: Atoms, tell: Tell) -> PhononSpectrum:
        if settings.relax_first:
            atoms = relaxed(atoms, calculator, settings.fmax, settings.max_steps, tell)
        return phonon_spectrum(
            atoms,
            calculator,
            supercell=settings.supercell,
            min_length=settings.min_length,
            displacement=settings.displacement,
            on_force=lambda done, total: tell(f"supercell {done} of {total}"),
        )

    compute_each(files, results, console, failures, compute, _verdict)
    print_results(console, files, results, COLUMNS, _row)
    if len(results) and report is not None:
        about = f"{settings.model}, {settings.dtype}; phonons by finite displacements."
        phonon_report(results.items(), about).save(report)


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
