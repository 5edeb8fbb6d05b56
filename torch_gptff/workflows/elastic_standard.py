"""Elastic tensors in the standard orientation of the crystal system, and the names of their constants."""

from __future__ import annotations

import warnings

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.errors import ElasticityError

CONSTANTS = {
    "cubic": "11 12 44",
    "hexagonal": "11 12 13 33 44",
    "trigonal": "11 12 13 14 33 44",
    "trigonal, low": "11 12 13 14 15 33 44",
    "tetragonal": "11 12 13 33 44 66",
    "tetragonal, low": "11 12 13 16 33 44 66",
    "orthorhombic": "11 12 13 22 23 33 44 55 66",
    "monoclinic": "11 12 13 15 22 23 25 33 35 44 46 55 66",
    "triclinic": "11 12 13 14 15 16 22 23 24 25 26 33 34 35 36 44 45 46 55 56 66",
}
"""Indices of the constants that are independent, in the standard orientation, by crystal system (J. F. Nye, Physical
Properties of Crystals, 1957, table 9). Low: Laue classes without twofold axes across the main axis."""

LAST_GROUPS = {2: "triclinic", 15: "monoclinic", 74: "orthorhombic", 88: "tetragonal, low", 142: "tetragonal"} | {
    148: "trigonal, low",
    167: "trigonal",
    194: "hexagonal",
    230: "cubic",
}
"""Crystal systems by the number of the last space group of each."""


def crystal_system(space_group: int) -> str:
    """A key of :data:`CONSTANTS`.

    Args:
        space_group: its number in the International Tables
    """
    return next(name for last, name in LAST_GROUPS.items() if space_group <= last)


def standard_stiffness(stiffness: NDArray[np.float64], atoms: Atoms) -> NDArray[np.float64]:
    """A tensor in the orientation of the IEEE standard on piezoelectricity (176-1987), in the unit given, ``[6, 6]``.

    The orientation is pymatgen's, but for tetragonal crystals: there pymatgen takes ``a`` for the fourfold axis where
    ``c`` is the shorter one, as in rutile.

    Args:
        stiffness: in the orientation of ``atoms``, ``[6, 6]``
        atoms: the crystal

    Raises:
        ElasticityError: no symmetry of the crystal is found.
    """
    from pymatgen.analysis.elasticity.elastic import ElasticTensor
    from pymatgen.io.ase import AseAtomsAdaptor
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer, SymmetryUndeterminedError

    plain = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a tensor that is not symmetric to the last digit
            structure = AseAtomsAdaptor.get_structure(plain)
            tensor = ElasticTensor.from_voigt(stiffness)
            analyzer = SpacegroupAnalyzer(structure)
            if analyzer.get_crystal_system() == "tetragonal":
                axes = _fourfold_axis_last(plain, analyzer.get_symmetry_dataset().transformation_matrix)
                turned = tensor.rotate(axes, tol=1e-2)
            else:
                turned = tensor.convert_to_ieee(structure, initial_fit=False)
    except (SymmetryUndeterminedError, IndexError, TypeError, ValueError) as error:
        raise ElasticityError(f"the standard orientation of the crystal is not found: {error}") from error
    return np.array(turned.voigt, dtype=np.float64)


def _fourfold_axis_last(atoms: Atoms, transformation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors along ``a``, across, and along ``c`` of the conventional cell of a tetragonal crystal, as rows.

    Args:
        atoms: the crystal
        transformation: to the basis of its conventional cell, as spglib gives it, ``[3, 3]``
    """
    a, _, c = np.linalg.inv(transformation).T @ atoms.cell.array
    third, first = c / np.linalg.norm(c), a / np.linalg.norm(a)
    return np.array([first, np.cross(third, first), third])


def named_constants(stiffness: NDArray[np.float64], system: str) -> dict[str, float]:
    """``{"C11": 170.0, "C12": …, "C44": …}``: the constants that are independent.

    Args:
        stiffness: in the standard orientation, ``[6, 6]``
        system: a key of :data:`CONSTANTS`
    """
    return {f"C{name}": float(stiffness[int(name[0]) - 1, int(name[1]) - 1]) for name in CONSTANTS[system].split()}
