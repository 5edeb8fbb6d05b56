"""Equations of state of a list of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
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
from torch_gptff.workflows import EquationOfState, equation_of_state
from torch_gptff.workflows.reports.eos import eos_report

COLUMNS = (
    Column("file", number=False),
    Column("formula", number=False),
    Column("V₀", "Å³/atom"),
    Column("E₀", "eV/atom"),
    Column("B₀", "GPa"),
    Column("B₀′"),
    Column("residual", "meV/atom"),
)

SMAX_GPA = 0.1
"""The stress that --relax leaves: the minimum need only be in range."""


@dataclass(frozen=True)
class Settings:
    """The options of ``torch-gptff eos`` that results depend on."""

    model: str
    dtype: str
    low: float
    high: float
    points: int
    form: str
    relax_first: bool
    relax_positions: bool
    fmax: float
    max_steps: int


def fit_all(
    files: Sequence[str],
    potential: Potential,
    settings: Settings,
    console: Console,
    failures: Failures,
    json: Path | None,
    report: Path | None,
    resume: bool,
) -> bool:
    """The equation of state of every structure of every file: a table, a JSON file and a report.

    Returns:
        whether all were computed, and have a minimum in range
    """
    calculator = GPTFFCalculator(potential, device=next(potential.parameters()).device)
    results = Results(EquationOfState, json, asdict(settings), resume)

    def compute(atoms: Atoms, tell: Tell) -> EquationOfState:
        return _compute(atoms, calculator, settings, tell)

    compute_each(files, results, console, failures, compute, _verdict)
    print_results(console, files, results, COLUMNS, _row)
    if len(results) and report is not None:
        about = f"{settings.model}, {settings.dtype}: cells scaled in {settings.points} volumes, "
        about += f"{settings.low:g} to {settings.high:g} times that of the structure."
        eos_report(results.items(), about).save(report)
    return not failures and all(curve.fits and not curve.n_unconverged for _, curve in results.items())


def _compute(atoms: Atoms, calculator: GPTFFCalculator, settings: Settings, tell: Tell) -> EquationOfState:
    if settings.relax_first:
        atoms = relaxed(
            atoms,
            calculator,
            settings.fmax,
            settings.max_steps,
            tell,
            smax_gpa=SMAX_GPA,
            otherwise="take it as it is, without --relax",
        )
    return equation_of_state(
        atoms,
        calculator,
        ratios=np.linspace(settings.low, settings.high, settings.points).tolist(),
        relax_positions=settings.relax_positions,
        fmax=settings.fmax,
        max_steps=settings.max_steps,
        form=settings.form,
        on_volume=lambda done, total: tell(f"volume {done} of {total}"),
    )


def _verdict(curve: EquationOfState) -> str:
    if not curve.fits:
        return f"NO FIT: {curve.problem}"
    left = "" if not curve.n_unconverged else f", atoms NOT CONVERGED at {curve.n_unconverged} of them"
    return f"a minimum among {len(curve.volumes)} volumes{left}"


def _row(label: str, curve: EquationOfState) -> list[str]:
    n_atoms = len(curve.atoms)
    fit = curve.fits[0] if curve.fits else None
    return [
        label,
        formula_of(curve.atoms),
        fixed(None if fit is None else fit.volume / n_atoms, 3),
        fixed(None if fit is None else fit.energy / n_atoms, 4),
        fixed(None if fit is None else fit.bulk_modulus, 1),
        fixed(None if fit is None else fit.bulk_modulus_derivative, 2),
        fixed(None if fit is None else 1000 * fit.residual / n_atoms, 3),
    ]
