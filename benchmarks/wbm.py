"""Energies, formation energies and volumes of crystals of WBM, beside DFT.

    python benchmarks/wbm.py gptff-universal --data wbm-random-pbe52-equilibrium-2025.1.json.gz --relaxed 160
    python benchmarks/wbm.py gptff-universal --structures examples/structures/LiFePO4.cif

print mean absolute errors with their standard errors: of energies of the crystals of a file of MatCalc's benchmark
data at the geometry of DFT, of their formation energies, and of the volumes of some of them, chosen at random, after
relaxing. ``--formulas FILE`` takes crystals of these reduced formulas alone, one on a line. ``--structures`` relaxes
crystals of other files, too, and prints by how much their volumes change. The reason of each failure is told.

Formation energies count from the elements' energies of the Materials Project, which follow from the file, as in
Matbench Discovery. With ``--corrections mp2020``, :func:`torch_gptff.workflows.mp2020_correction` is added to the
energies of the model, and the corrected formation energies of the file are compared with; without, the uncorrected
ones.

A model is whatever may be a teacher of ``torch-gptff distill``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor
from rich.console import Console
from rich.table import Table

from torch_gptff.errors import GPTFFError
from torch_gptff.graph.formula import reduced_formula
from torch_gptff.training.distillation import make_teacher
from torch_gptff.workflows import mp2020_correction, relax_many

EXACT = 1e-3
"""Largest difference, eV/atom, between formation energies of the file and those that its elements' energies give."""

Values = dict[str, float]


@dataclass(frozen=True)
class Crystal:
    """A crystal of the file.

    Attributes:
        name: its identifier and formula
        atoms: at the geometry of DFT
        energy: of the cell, eV
        formation_energy: eV/atom
    """

    name: str
    atoms: Atoms
    energy: float
    formation_energy: float


def crystals_of(file: Path, corrected: bool) -> list[Crystal]:
    """The crystals of a file, with energies that corrections have been added to or not."""
    prefix = "corrected_" if corrected else ""
    with gzip.open(file, "rt") as stream:
        entries = json.load(stream)
    return [
        Crystal(
            f"{entry['material_id']} {entry['formula']}",
            bare(AseAtomsAdaptor.get_atoms(Structure.from_dict(entry["structure"]))),
            entry[f"{prefix}energy"],
            entry[f"{prefix}formation_energy_per_atom"],
        )
        for entry in entries
    ]


def bare(atoms: Atoms) -> Atoms:
    """A crystal without what is known of it beside its structure."""
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)


def energies_of_elements(crystals: Sequence[Crystal]) -> NDArray[np.float64]:
    """The energies of an atom of each element, eV, by atomic number, that the formation energies are counted from.

    Raises:
        ValueError: no such energies give the formation energies.
    """
    counts = np.array([np.bincount(each.atoms.numbers, minlength=119) for each in crystals], dtype=float)
    sizes = counts.sum(1)
    total = np.array([each.energy for each in crystals]) - sizes * [each.formation_energy for each in crystals]
    energies = np.linalg.lstsq(counts / sizes[:, None], total / sizes)[0]
    worst = np.abs(counts @ energies - total) / sizes
    if worst.max() > EXACT:
        raise ValueError(f"formation energies of the file do not follow from energies of elements: that of "
                         f"{crystals[int(worst.argmax())].name} is {worst.max():.3f} eV/atom off")  # fmt: skip
    return energies


def energy_errors(
    crystals: Sequence[Crystal], elements: NDArray[np.float64], calculator: Any, corrected: bool, failed: list[str]
) -> Iterator[Values]:
    """Errors at the geometry of DFT, meV/atom, of each crystal that the model has an energy of."""
    for crystal in crystals:
        atoms = crystal.atoms.copy()
        atoms.calc = calculator
        try:
            correction = mp2020_correction(crystal.atoms) if corrected else 0.0
            energy = float(atoms.get_potential_energy()) + correction
        except GPTFFError as error:
            failed.append(f"{crystal.name}: {error}")
            continue
        formation = (energy - elements[atoms.numbers].sum()) / len(atoms)
        yield {
            "energy, meV/atom": 1000 * (energy - crystal.energy) / len(atoms),
            "formation energy, meV/atom": 1000 * (formation - crystal.formation_energy),
        }


def volume_errors(structures: dict[str, Atoms], calculator: Any, failed: list[str]) -> Iterator[tuple[str, float]]:
    """Volumes after relaxing less those before, %, of each structure that comes to rest."""
    names = list(structures)
    for place, found in relax_many(structures.values(), calculator, fmax=0.02):
        if isinstance(found, GPTFFError) or not found.converged:
            reason = found if isinstance(found, GPTFFError) else f"not at rest after {found.n_steps} steps"
            failed.append(f"{names[place]}: {reason}")
            continue
        yield names[place], 100 * (found.final.get_volume() / structures[names[place]].get_volume() - 1)


def row(model: str, name: str, errors: Sequence[float]) -> list[str]:
    """A row of the table."""
    sizes = np.abs(errors)
    spread = f"{sizes.std(ddof=1) / np.sqrt(len(sizes)):.2f}" if len(sizes) > 1 else "–"
    of_sizes = [f"{sizes.mean():.2f}", spread, f"{np.median(sizes):.2f}"]
    return [model, name, f"{len(sizes)}", *of_sizes, f"{np.mean(errors):+.2f}"]


def measured(
    model: str, crystals: Sequence[Crystal], elements: NDArray[np.float64], options: argparse.Namespace
) -> tuple[dict[str, list[float]], list[str]]:
    """Errors of a model by quantity, and what failed."""
    calculator = make_teacher(model).calculator
    failed: list[str] = []
    errors: dict[str, list[float]] = {}
    corrected = options.corrections == "mp2020"
    for found in energy_errors(crystals[:: options.every], elements, calculator, corrected, failed):
        for name, value in found.items():
            errors.setdefault(name, []).append(value)
    order = np.random.default_rng(options.seed).permutation(len(crystals))[: options.relaxed]
    drawn = {crystals[place].name: crystals[place].atoms for place in order}
    errors["volume, %"] = [error for _, error in volume_errors(drawn, calculator, failed)]
    files = {file.name: bare(read(file)) for file in options.structures}
    errors |= {f"volume of {name}, %": [error] for name, error in volume_errors(files, calculator, failed)}
    return {name: values for name, values in errors.items() if values}, failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="names or paths")
    parser.add_argument("--data", type=Path, help="a .json.gz of MatCalc's benchmark data")
    parser.add_argument("--corrections", choices=["none", "mp2020"], default="none")
    parser.add_argument("--formulas", type=Path, help="reduced formulas that are taken, one on a line")
    parser.add_argument("--every", type=int, default=1, help="take the energy of every so many crystals")
    parser.add_argument("--relaxed", type=int, default=0, help="number of crystals that are relaxed")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of those")
    parser.add_argument("--structures", type=Path, nargs="+", default=[], help="further crystals that are relaxed")
    parser.add_argument("--json", type=Path, help="write everything")
    options = parser.parse_args()
    warnings.simplefilter("ignore")

    crystals = [] if options.data is None else crystals_of(options.data, options.corrections == "mp2020")
    elements = energies_of_elements(crystals) if crystals else np.zeros(0)
    if options.formulas is not None:
        wanted = set(options.formulas.read_text(encoding="utf-8").split())
        crystals = [each for each in crystals if reduced_formula(each.atoms.numbers) in wanted]
    table = Table("model", "error of", "crystals", "MAE", "± s.e.", "median", "mean error")
    document: dict[str, Any] = {}
    for model in options.models:
        errors, failed = measured(model, crystals, elements, options)
        document[model] = {"errors": errors, "failed": failed}
        for name, values in errors.items():
            table.add_row(*row(model, name, values))
    Console(width=120).print(table)
    for model, found in document.items():
        for reason in found["failed"]:
            print(f"{model}: {reason}")
    if options.json:
        options.json.write_text(json.dumps(document, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
