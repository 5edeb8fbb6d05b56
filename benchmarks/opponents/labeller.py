"""A class that labels lists of structures: ``Labeller(model)(structures)`` gives energy (eV), forces (eV/Å) and stress
(eV/Å³, positive = tensile, ``[3, 3]``) of each, in a list that is the first of what it returns."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress


class LabellerCalculator(Calculator):
    """An ASE calculator of one structure at a time."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012, as in ASE

    def __init__(self, labeller: Any) -> None:
        super().__init__()
        self._labeller = labeller

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        labels, *_ = self._labeller([self.atoms])
        energy, forces, stress = labels[0]
        self.results = {"energy": energy, "forces": forces, "stress": full_3x3_to_voigt_6_stress(stress)}


def calculator(device: str, labeller: str, model: str) -> LabellerCalculator:
    """An ASE calculator of a class, ``"path/to/file.py:Class"``, and of the file that it is built with."""
    if device != "cpu":
        raise ValueError(f"a labeller computes on the CPU, not on {device}")
    path, _, name = labeller.rpartition(":")
    sys.path.insert(0, str(Path(path).parent))
    return LabellerCalculator(getattr(import_module(Path(path).stem), name)(model))
