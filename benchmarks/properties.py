"""Elastic moduli and heat capacities of crystals, beside DFT: what second derivatives of a model are worth.

    python benchmarks/properties.py moduli mp-binary-pbe-elasticity-2025.1.json.gz gptff-universal gptff-v1 --number 60
    python benchmarks/properties.py heat-capacity alexandria-binary-pbe-phonon-2025.1.json.gz gptff-universal chgnet

take a random sample of the crystals in a file of MatCalc's benchmark data, relax each with the model, and print mean
absolute errors with their standard errors: of the bulk and the shear modulus (Voigt–Reuss–Hill, GPa), or of the heat
capacity at 300 K (J/(mol K), of the cells in the file). ``--formulas FILE`` takes crystals of these reduced formulas
alone, one on a line, such as those which a model has not been trained on. What fails is counted, and its reason told.

A model is whatever may be a teacher of ``torch-gptff distill``: one of this package, by name or path, ``chgnet``, or
``matgl:FOLDER``; the last two in an environment that holds their package beside this one. Ours run in float64, others
in the precision that they come with.
"""

from __future__ import annotations

import argparse
import gzip
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor
from rich.console import Console
from rich.table import Table

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.errors import GPTFFError
from torch_gptff.training.distillation import make_teacher
from torch_gptff.workflows import elastic_tensor, phonon_spectrum, relax

Values = dict[str, float]


def moduli(entry: dict[str, Any], atoms: Atoms, calculator: Any) -> tuple[Values, Values]:
    """The moduli of DFT, and of the model."""
    tensor = elastic_tensor(atoms, calculator)
    known = {"bulk modulus, GPa": entry["bulk_modulus_vrh"], "shear modulus, GPa": entry["shear_modulus_vrh"]}
    return known, {"bulk modulus, GPa": tensor.bulk_modulus, "shear modulus, GPa": tensor.shear_modulus}


def heat_capacity(entry: dict[str, Any], atoms: Atoms, calculator: Any) -> tuple[Values, Values]:
    """The heat capacity of DFT, and of the model, each of a mole of atoms."""
    spectrum = phonon_spectrum(atoms, calculator, temperatures=[300.0], min_length=8.0)
    name = "heat capacity at 300 K, J/(mol K)"
    return {name: entry["heat_capacity"]}, {name: spectrum.heat_capacity_300K * len(atoms)}


PROPERTIES: dict[str, Callable[..., tuple[Values, Values]]] = {"moduli": moduli, "heat-capacity": heat_capacity}


def sampled(file: Path, formulas: Path | None, number: int, seed: int) -> Iterator[tuple[dict[str, Any], Atoms]]:
    """A random sample of the crystals of a file, in the order in which it was drawn."""
    with gzip.open(file, "rt") as stream:
        entries = json.load(stream)
    wanted = None if formulas is None else set(formulas.read_text().split())
    pairs = ((entry, Structure.from_dict(entry["structure"])) for entry in entries)
    kept = [pair for pair in pairs if wanted is None or pair[1].composition.reduced_formula in wanted]
    for place in np.random.default_rng(seed).permutation(len(kept))[:number]:
        entry, structure = kept[place]
        atoms = AseAtomsAdaptor.get_atoms(structure)
        yield entry, Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)


def calculator_of(model: str) -> Any:
    """Its ASE calculator."""
    calculator = make_teacher(model).calculator
    ours = isinstance(calculator, GPTFFCalculator)
    return GPTFFCalculator(calculator.potential, dtype=torch.float64) if ours else calculator


def errors_of(model: str, options: argparse.Namespace) -> tuple[dict[str, list[float]], list[str]]:
    """The errors of a model by property, and what failed."""
    calculator = calculator_of(model)
    errors: dict[str, list[float]] = {}
    failed: list[str] = []
    for entry, atoms in sampled(options.file, options.formulas, options.number, options.seed):
        try:
            relaxed = relax(atoms, calculator, fmax=0.01)
            if not relaxed.converged:
                raise GPTFFError(f"did not relax in {relaxed.n_steps} steps")
            known, found = PROPERTIES[options.property](entry, relaxed.final, calculator)
        except GPTFFError as error:
            failed.append(f"{entry['mp_id']} {atoms.get_chemical_formula()}: {error}")
            continue
        for name, value in known.items():
            errors.setdefault(name, []).append(found[name] - value)
    return errors, failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("property", choices=PROPERTIES)
    parser.add_argument("file", type=Path, help="a .json.gz of MatCalc's benchmark data")
    parser.add_argument("models", nargs="+", help="names or paths")
    parser.add_argument("--number", type=int, default=60, help="crystals in the sample")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formulas", type=Path, help="reduced formulas to take the sample from, one on a line")
    parser.add_argument("--json", type=Path, help="write everything")
    options = parser.parse_args()
    warnings.simplefilter("ignore")

    table = Table("model", "property", "crystals", "MAE", "± s.e.", "median", "failed")
    document: dict[str, Any] = {}
    for model in options.models:
        errors, failed = errors_of(model, options)
        document[model] = {"errors": errors, "failed": failed}
        for name, values in errors.items():
            sizes = np.abs(values)
            spread = sizes.std(ddof=1) / np.sqrt(len(sizes))
            row = (f"{sizes.mean():.2f}", f"{spread:.2f}", f"{np.median(sizes):.2f}", f"{len(failed)}")
            table.add_row(model, name, f"{len(sizes)}", *row)
    Console().print(table)
    for model, found in document.items():
        for reason in found["failed"]:
            print(f"{model}: {reason}")
    if options.json:
        options.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
