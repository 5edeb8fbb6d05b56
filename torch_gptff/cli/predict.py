"""``torch-gptff predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms

    from torch_gptff.cli.each import Run
    from torch_gptff.workflows import EvaluatedStructure

UNITS = {
    "energy": "eV",
    "energies": "eV",
    "energy_std": "eV, one standard deviation of the expected error of energy",
    "forces": "eV/angstrom",
    "stress": "eV/angstrom^3, rows of a 3x3 tensor, positive = tensile",
}


def predict(
    context: typer.Context,
    files: options.Files,
    model: options.Model = DEFAULT_MODEL,
    json: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="OUT",
            help="JSON file of all results, or '-' for standard output.",
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
    overwrite: options.Overwrite = False,
    reference: options.Reference = None,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float32",
) -> None:
    """Predict energy, forces and stress."""
    if extxyz is not None and extxyz.suffix not in (".extxyz", ".xyz"):
        raise typer.BadParameter(f"{extxyz} must end in .extxyz or .xyz", param_hint="--extxyz")
    from torch_gptff.cli.each import Run
    from torch_gptff.cli.output import make_progress
    from torch_gptff.io.structures import write_structures

    run = Run(context)
    results: list[tuple[str, EvaluatedStructure]] = []
    with make_progress(run.console) as progress:
        task = progress.add_task("")
        for file, inputs in zip(files, run.structures_by_file(), strict=True):
            progress.update(task, description=run.short(file))
            results += _predicted(run, [(each.label, each.content) for each in inputs])
    if extxyz is not None and results:
        write_structures(extxyz, [_with_results(result) for _, result in results])
    if json is not None:
        _write(json, run, results)
    if json != "-":
        run.print_records(results)
    run.end()


def _predicted(run: Run, structures: Sequence[tuple[str, Atoms]]) -> list[tuple[str, EvaluatedStructure]]:
    """Predictions for the structures of a file: all together, or one by one where one of them is refused."""
    from torch_gptff.errors import GPTFFError
    from torch_gptff.workflows import evaluate_many

    accepted = []
    for label, atoms in structures:
        with run.failures.alone(label):
            run.failures.check(atoms)
            accepted.append((label, atoms))
    try:
        evaluated = evaluate_many([atoms for _, atoms in accepted], run.potential)
    except GPTFFError:
        evaluated = []
    if len(evaluated) == len(accepted) and all(each.is_finite for each in evaluated):
        return [(label, result) for (label, _), result in zip(accepted, evaluated, strict=True)]
    results = []
    for label, atoms in accepted:
        with run.failures.alone(label):
            (result,) = evaluate_many([atoms], run.potential)
            if not result.is_finite:
                raise GPTFFError(f"{label}: the model gives an energy or forces that are not finite numbers")
            results.append((label, result))
    return results


def _with_results(result: EvaluatedStructure) -> Atoms:
    """The structure with its results, as ASE keeps them without a calculator."""
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.stress import full_3x3_to_voigt_6_stress

    atoms = result.atoms.copy()
    stress = None if result.stress is None else full_3x3_to_voigt_6_stress(result.stress)
    values = {"energy": result.energy, "forces": result.forces, "energies": result.energies, "stress": stress}
    atoms.calc = SinglePointCalculator(atoms, **{name: value for name, value in values.items() if value is not None})
    return atoms


def _write(path: str, run: Run, results: Sequence[tuple[str, EvaluatedStructure]]) -> None:
    """Write one JSON document of all predictions and failures."""
    import json

    from torch_gptff import __version__
    from torch_gptff.io.files import written_atomically

    predictions = []
    for label, result in results:
        values: dict[str, Any] = {"file": label, "symbols": list(result.atoms.symbols)}
        values |= {name: value for name, value in result.to_dict().items() if name in UNITS}
        predictions.append(values)
    document = {
        "torch_gptff": __version__,
        "model": run.given["model"],
        "dtype": run.given["dtype"],
        "units": UNITS,
        "predictions": predictions,
        "failures": list(run.failures),
    }
    text = json.dumps(document, allow_nan=False, ensure_ascii=False)
    if path == "-":
        typer.echo(text)
        return
    with written_atomically(path) as temporary:
        temporary.write_text(text + "\n")
