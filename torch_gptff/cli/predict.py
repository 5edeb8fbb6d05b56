"""``torch-gptff predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from torch_gptff.cli import options
from torch_gptff.cli.results import Results
from torch_gptff.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Run, Tell
    from torch_gptff.workflows import EvaluatedStructure

UNITS = {
    "energy": "eV",
    "energies": "eV",
    "energy_std": "eV, one standard deviation of the expected error of energy",
    "forces": "eV/angstrom",
    "stress": "eV/angstrom^3, rows of a 3x3 tensor, positive = tensile",
}
"""Units in the JSON file."""


def predict(
    context: typer.Context,
    files: options.Files,
    model: options.Model = DEFAULT_MODEL,
    json: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="OUT",
            help="JSON file of all results, updated as they come; or '-' for standard output.",
            callback=options.new_file,
        ),
    ] = None,
    extxyz: Annotated[
        Path | None,
        typer.Option(
            "--extxyz",
            metavar="OUT",
            help="File of the structures with energy, forces and stress, as extxyz.",
            callback=options.new_file,
        ),
    ] = None,
    report: options.ReportFile = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    reference: options.Reference = None,
    d3: options.Dispersion = False,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float32",
) -> None:
    """Predict energy, forces and stress."""
    if extxyz is not None and extxyz.suffix not in (".extxyz", ".xyz"):
        raise typer.BadParameter(f"{extxyz} must end in .extxyz or .xyz", param_hint="--extxyz")
    from torch_gptff.cli.each import run_each
    from torch_gptff.io.structures import write_structures
    from torch_gptff.workflows import EvaluatedStructure
    from torch_gptff.workflows.reports.predict import predict_report

    def compute(atoms: Atoms, calculator: GPTFFCalculator, tell: Tell) -> EvaluatedStructure:
        (result,) = _evaluated([atoms], calculator)
        return result

    def finish(run: Run, results: Results[EvaluatedStructure]) -> None:
        if extxyz is not None and len(results):
            write_structures(extxyz, [_with_results(result) for _, result in results.items()])
        if json == "-":
            typer.echo(results.to_json(run.failures))

    run_each(
        context,
        EvaluatedStructure,
        compute,
        together=_evaluated,
        verdict=None,
        report=predict_report,
        about=".",
        storage=_Predictions,
        finish=finish,
    )


class _Predictions(Results["EvaluatedStructure"]):
    """JSON file of predictions. An input that is named twice is in it twice."""

    list_name = "predictions"

    def items(self) -> list[tuple[str, EvaluatedStructure]]:
        """Labels and records, in the order of the inputs."""
        return [(label, self[label]) for label in self.order or self]

    def facts(self) -> dict[str, Any]:
        """Return the model, its precision and the units."""
        return {"model": self._settings["model"], "dtype": self._settings["dtype"], "units": UNITS}

    def entry(self, record: EvaluatedStructure) -> dict[str, Any]:
        """Return the values of a structure, and its elements."""
        values = {name: value for name, value in record.to_dict().items() if name != "units"}
        return {"symbols": list(record.atoms.symbols), **values}


def _evaluated(structures: Sequence[Atoms], calculator: GPTFFCalculator) -> list[EvaluatedStructure]:
    """Energies, forces and stresses of structures that are computed together.

    Raises:
        GPTFFError: a structure is refused, or a result is not finite.
    """
    from torch_gptff.errors import GPTFFError
    from torch_gptff.workflows import evaluate_many

    evaluated = evaluate_many(structures, calculator)
    if not all(each.is_finite for each in evaluated):
        raise GPTFFError("the model gives an energy or forces that are not finite numbers")
    return evaluated


def _with_results(result: EvaluatedStructure) -> Atoms:
    """The structure with its results, as ASE keeps them without a calculator."""
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.stress import full_3x3_to_voigt_6_stress

    atoms = result.atoms.copy()
    stress = None if result.stress is None else full_3x3_to_voigt_6_stress(result.stress)
    values = {"energy": result.energy, "forces": result.forces, "energies": result.energies, "stress": stress}
    atoms.calc = SinglePointCalculator(atoms, **{name: value for name, value in values.items() if value is not None})
    return atoms
