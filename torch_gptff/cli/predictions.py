"""Predictions of structure files, as rows, as JSON and as ASE ``Atoms``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress

from torch_gptff import __version__
from torch_gptff.cli.errors import Failures
from torch_gptff.cli.options import DType
from torch_gptff.cli.output import UNCERTAINTY, Column, fixed, per_atom
from torch_gptff.errors import GPTFFError
from torch_gptff.graph.formula import formula_of
from torch_gptff.io.structures import read_labelled
from torch_gptff.potential import Potential
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

COLUMNS = (
    Column("file", number=False),
    Column("formula", number=False),
    Column("atoms"),
    Column("energy", "eV"),
    Column("energy", "eV/atom"),
    UNCERTAINTY,
    Column("max force", "eV/Å"),
    Column("pressure", "GPa"),
)

_UNITS = {
    "energy": "eV",
    "energies": "eV",
    "energy_std": "eV, one standard deviation of the expected error of energy",
    "forces": "eV/angstrom",
    "stress": "eV/angstrom^3, rows of a 3x3 tensor, positive = tensile",
}


@dataclass(frozen=True)
class Result:
    """A structure and what was predicted for it.

    Attributes:
        label: the file, and the frame where it has several
        atoms: the structure
        energy: eV
        forces: eV/Å, ``[N, 3]``
        stress: eV/Å³, ``[3, 3]``; ``None`` where there is no period or no volume
        energies: of the atoms in eV, ``[N]``; ``None`` where the model has none
        energy_std: expected error of ``energy`` in eV; ``None`` for a model that is no committee
    """

    label: str
    atoms: Atoms
    energy: float
    forces: Any
    stress: Any | None
    energies: Any | None
    energy_std: float | None = None

    def row(self, name: str) -> list[str]:
        """The cells under :data:`COLUMNS`, with this in the first."""
        pressure = None if self.stress is None else -self.stress.trace() / 3 * GPA_PER_EV_PER_ANGSTROM3
        return [
            name,
            formula_of(self.atoms),
            str(len(self.atoms)),
            fixed(self.energy, 4),
            fixed(self.energy / len(self.atoms), 4),
            per_atom(self.energy_std, len(self.atoms)),
            fixed((self.forces**2).sum(axis=1).max() ** 0.5, 4),
            fixed(pressure, 3),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Every value, for JSON."""
        values = {"forces": self.forces, "stress": self.stress, "energies": self.energies}
        return {
            "file": self.label,
            "symbols": list(self.atoms.symbols),
            "energy": self.energy,
            "energy_std": self.energy_std,
            **{name: None if value is None else value.tolist() for name, value in values.items()},
        }


def evaluate(potential: Potential, file: str, failures: Failures) -> list[Result]:
    """Predict every structure of a file; those that are refused fail alone, and so does a file that cannot be read."""
    structures: dict[str, Atoms] = {}
    with failures.alone(file):
        for label, atoms in read_labelled(file).items():
            with failures.alone(label):
                failures.check(atoms)
                structures[label] = atoms
    try:
        return _predicted(potential, structures)
    except GPTFFError:  # together they are faster; one by one, it is known which is refused
        results: list[Result] = []
        for label, atoms in structures.items():
            with failures.alone(label):
                results += _predicted(potential, {label: atoms})
        return results


def _predicted(potential: Potential, structures: Mapping[str, Atoms]) -> list[Result]:
    """The predictions for structures by their labels.

    Raises:
        StructureError: one of them has no energy.
        GPTFFError: the model's energy or forces are not finite.
    """
    model = potential.model
    predictions = potential.predict(structures.values(), energies=model.is_atomwise, energy_std=model.num_readouts > 1)
    results = []
    for (label, atoms), prediction in zip(structures.items(), predictions, strict=True):
        assert prediction.forces is not None
        assert prediction.stress is not None
        if not (prediction.energy.isfinite().all() and prediction.forces.isfinite().all()):
            raise GPTFFError(f"{label}: the model gives an energy or forces that are not finite numbers")
        has_stress = bool(atoms.pbc.any()) and bool(prediction.stress.isfinite().all())
        results.append(
            Result(
                label,
                atoms,
                energy=prediction.energy.item(),
                forces=prediction.forces.double().numpy(),
                stress=prediction.stress[0].numpy() if has_stress else None,
                energies=None if prediction.energies is None else prediction.energies.numpy(),
                energy_std=None if prediction.energy_std is None else prediction.energy_std.item(),
            )
        )
    return results


def with_results(result: Result) -> Atoms:
    """The structure carrying what was predicted, as ASE keeps results without a calculator."""
    atoms = result.atoms.copy()
    values = {"energy": result.energy, "forces": result.forces, "energies": result.energies}
    if result.stress is not None:
        values["stress"] = full_3x3_to_voigt_6_stress(result.stress)
    atoms.calc = SinglePointCalculator(atoms, **{name: value for name, value in values.items() if value is not None})
    return atoms


def to_json(results: Sequence[Result], failures: Sequence[dict[str, str]], model: str, dtype: DType) -> str:
    """One document of everything that was predicted, and of what failed."""
    document = {
        "torch_gptff": __version__,
        "model": model,
        "dtype": dtype.value,
        "units": _UNITS,
        "predictions": [result.to_dict() for result in results],
        "failures": list(failures),
    }
    return json.dumps(document, allow_nan=False, ensure_ascii=False)
