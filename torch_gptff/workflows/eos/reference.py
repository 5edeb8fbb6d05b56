"""Equations of state to compare with: all-electron PBE, from the ACWF verification.

E. Bosoni et al., "How to verify the precision of density-functional-theory implementations", Nature Reviews Physics 6,
45 (2024), https://doi.org/10.1038/s42254-023-00655-3.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms

from torch_gptff.datasets.readers.acwf import central_structure
from torch_gptff.errors import EquationOfStateError
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

SETS = ("unaries", "oxides")
"""Crystals of one element in four structures, and oxides of every element in six."""


@dataclass(frozen=True)
class ReferenceCrystal:
    """A crystal whose equation of state is known.

    Attributes:
        name: of the crystal in the set, ``"Si-X/Diamond"``, ``"Si-XO2"``
        prototype: its structure, ``"Diamond"``, ``"XO2"``
        atoms: at the reference's volume of least energy
        bulk_modulus: there, GPa
        bulk_modulus_derivative: there
    """

    name: str
    prototype: str
    atoms: Atoms
    bulk_modulus: float
    bulk_modulus_derivative: float


def reference_crystals(folder: str | Path, set_name: str = "unaries") -> list[ReferenceCrystal]:
    """The crystals of a set, with the mean of two all-electron codes, FLEUR and WIEN2k.

    Args:
        folder: with ``results-<set>-verification-PBE-v1-AE-average.json`` and ``xsf_<set>``, as in
            github.com/aiidateam/acwf-verification-scripts
        set_name: one of :data:`SETS`

    Raises:
        EquationOfStateError: no such set, or the folder has no such file, or the file holds no fits.
        UnreadableDataError: the structure of a crystal is missing.
    """
    if set_name not in SETS:
        raise EquationOfStateError(f"no set {set_name!r}; there are {', '.join(SETS)}")
    folder = Path(folder)
    file = folder / f"results-{set_name}-verification-PBE-v1-AE-average.json"
    if not file.is_file():
        raise EquationOfStateError(f"{folder} has no file {file.name}: name the folder of the ACWF data")
    try:
        results: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        fits, n_atoms = results["BM_fit_data"], results["num_atoms_in_sim_cell"]
        constants = {
            name: (
                float(fit["min_volume"]) / n_atoms[name],
                float(fit["bulk_modulus_ev_ang3"]) * GPA_PER_EV_PER_ANGSTROM3,
                float(fit["bulk_deriv"]),
            )
            for name, fit in fits.items()
        }
    except (ValueError, KeyError, TypeError) as error:
        raise EquationOfStateError(f"{file} holds no equations of state: {error!r}") from error
    crystals = []
    for name, (volume, modulus, derivative) in constants.items():
        atoms = central_structure(folder / f"xsf_{set_name}", name)
        atoms.set_cell(atoms.cell.array * (volume * len(atoms) / atoms.cell.volume) ** (1 / 3), scale_atoms=True)
        prototype = name.split("-")[-1].removeprefix("X/")
        crystals.append(ReferenceCrystal(name, prototype, atoms, modulus, derivative))
    return crystals
