"""Elastic tensors of a list of files."""

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
from torch_gptff.errors import ElasticityError
from torch_gptff.graph.formula import formula_of
from torch_gptff.potential import Potential
from torch_gptff.workflows import ElasticTensor, elastic_tensor
from torch_gptff.workflows.reports.elasticity import elasticity_report

COLUMNS = (
    Column("file", number=False),
    Column("formula", number=False),
    Column("bulk", "GPa"),
    Column("shear", "GPa"),
    Column("Young", "GPa"),
    Column("Poisson"),
    Column("anis."),
    Column("stress", "GPa"),
    Column("stable", number=False),
)


@dataclass(frozen=True)
class Settings:
    """The options of ``torch-gptff elastic`` that results depend on."""

    model: str
    dtype: str
    relax_first: bool
    clamped: bool
    max_strain: float
    fmax: float
    max_steps: int
    symprec: float


def measure_all(
    files: Sequence[str],
    potential: Potential,
    settings: Settings,
    console: Console,
    failures: Failures,
    json: Path | None,
    report: Path | None,
    resume: bool,
) -> None:
    """The tensor of every structure of every file: a table, a JSON file and a report."""
    calculator = GPTFFCalculator(potential, device=next(potential.parameters()).device)
    results = Results(ElasticTensor, json, asdict(settings), resume)

    def compute(atoms: Atoms, tell: Tell) -> ElasticTensor:
        return _measure(atoms, calculator, settings, tell)

    compute_each(files, results, console, failures, compute, _verdict)
    print_results(console, files, results, COLUMNS, _row)
    if len(results) and report is not None:
        about = f"{settings.model}, {settings.dtype}; elastic tensors by finite strains."
        elasticity_report(results.items(), about).save(report)


def _measure(atoms: Atoms, calculator: GPTFFCalculator, settings: Settings, tell: Tell) -> ElasticTensor:
    if settings.relax_first:
        atoms = relaxed(atoms, calculator, settings.fmax, settings.max_steps, tell)
    return elastic_tensor(
        atoms,
        calculator,
        max_strain=settings.max_strain,
        relax_positions=not settings.clamped,
        fmax=settings.fmax,
        max_steps=settings.max_steps,
        symprec=settings.symprec or None,
        on_strain=lambda done, total: tell(f"strain {done} of {total}"),
    )


def _verdict(tensor: ElasticTensor) -> str:
    least = float(tensor.stability_eigenvalues[0])
    if not tensor.is_stable:
        return f"NOT STABLE: some strain lowers the energy (least eigenvalue {least:.1f} GPa)"
    return f"stable, {tensor.n_strained} strained structures"


def _row(label: str, tensor: ElasticTensor) -> list[str]:
    moduli: list[float | None]
    try:
        moduli = [
            *(tensor.bulk_modulus, tensor.shear_modulus, tensor.young_modulus),
            *(tensor.poisson_ratio, tensor.universal_anisotropy),
        ]
    except ElasticityError:  # singular
        moduli = [None] * 5
    return [
        label,
        formula_of(tensor.atoms),
        *(fixed(value, digits) for value, digits in zip(moduli, (1, 1, 1, 3, 2), strict=True)),
        fixed(float(abs(tensor.residual_stress).max()), 3),
        "yes" if tensor.is_stable else "NO",
    ]
