"""The convex hull of the structures of a list of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ase import Atoms
from rich.console import Console

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.cli.each import Tell, compute_each
from torch_gptff.cli.errors import Failures
from torch_gptff.cli.options import Corrections
from torch_gptff.cli.output import Column, fixed, print_table, short_labels
from torch_gptff.cli.relaxed import relaxed
from torch_gptff.cli.results import Results
from torch_gptff.errors import HullError
from torch_gptff.potential import Potential
from torch_gptff.workflows import Phase, convex_hull
from torch_gptff.workflows.corrections import mp2020_correction
from torch_gptff.workflows.reports.hull import decomposed, hull_report

COLUMNS = (
    Column("file", number=False),
    Column("formula", number=False),
    Column("energy", "eV/atom"),
    Column("formation", "meV/atom"),
    Column("above hull", "meV/atom"),
    Column("decomposes into", number=False),
)


@dataclass(frozen=True)
class Settings:
    """The options of ``torch-gptff hull`` that results depend on."""

    model: str
    dtype: str
    relax_first: bool
    fmax: float
    max_steps: int
    corrections: str


def find_hull(
    files: Sequence[str],
    potential: Potential,
    settings: Settings,
    console: Console,
    failures: Failures,
    json: Path | None,
    report: Path | None,
    resume: bool,
) -> None:
    """Every structure of every file, and the hull of those that could be computed: a table, a JSON file and a report.

    Raises:
        HullError: an element has no phase of its own.
    """
    calculator = GPTFFCalculator(potential, device=next(potential.parameters()).device)
    results = Results(Phase, json, asdict(settings), resume)

    def compute(atoms: Atoms, tell: Tell) -> Phase:
        if not atoms.pbc.all():
            raise HullError("a phase is a crystal, periodic in three directions")
        if settings.relax_first:
            atoms = relaxed(atoms, calculator, settings.fmax, settings.max_steps, tell)
        else:
            atoms.calc = calculator
        correction = mp2020_correction(atoms) if settings.corrections == Corrections.mp2020.value else 0.0
        return Phase("", atoms, float(atoms.get_potential_energy()) + correction, correction)

    def verdict(phase: Phase) -> str:
        return f"{phase.energy / len(phase.atoms):.4f} eV/atom"

    compute_each(files, results, console, failures, compute, verdict)
    if not len(results):
        return
    short = short_labels(console, files)
    hull = convex_hull([Phase(short(label), phase.atoms, phase.energy) for label, phase in results.items()])
    results.write(failures, hull=hull)
    rows = [
        [
            entry.label,
            entry.formula,
            fixed(entry.energy_per_atom, 4),
            fixed(1000 * entry.formation_energy, 1),
            fixed(1000 * entry.energy_above_hull, 1),
            decomposed(entry) or "stable",
        ]
        for entry in hull.entries
    ]
    print_table(console, COLUMNS, rows)
    if report is not None:
        corrected = "" if settings.corrections == Corrections.none.value else f", corrections {settings.corrections}"
        hull_report(hull, f"{settings.model}, {settings.dtype}{corrected}.").save(report)
