"""The crystal structure about each atom."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.errors import DiffractionError
from torch_gptff.workflows.inputs import as_atoms

LOCAL_STRUCTURES = ("other", "fcc", "hcp", "bcc", "ico")
"""Names of local structures, by the numbers that :func:`local_structure` gives; ``ico`` is icosahedral."""


def local_structure(atoms: Any) -> NDArray[np.int64]:
    """Classify every atom by adaptive common-neighbour analysis, with pyscal3: a place in :data:`LOCAL_STRUCTURES`.

    The neighbours that an atom's 12 or 14 nearest have in common tell the structure, with a cutoff that follows from
    their distances: `Stukowski, Modelling Simul. Mater. Sci. Eng. 20, 045021 (2012)
    <https://doi.org/10.1088/0965-0393/20/4/045021>`_. Elements are not told apart. Vibration makes some atoms
    ``other``, more of them the hotter the crystal.

    Args:
        atoms: of any kind that :func:`~torch_gptff.workflows.relax` takes, with a cell of three vectors

    Returns:
        ``[N]``

    Raises:
        DiffractionError: pyscal3 is not installed, or there is no cell.
    """
    try:
        from pyscal3 import common_neighbor_analysis  # type: ignore[import-untyped]
    except ImportError as error:
        raise DiffractionError("local structures need pyscal3: pip install 'torch-gptff[diffraction]'") from error
    atoms = as_atoms(atoms)
    if len(atoms) == 0 or atoms.cell.rank < 3:
        raise DiffractionError("local structures are told in atoms with a cell of three vectors")
    copy = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    copy.wrap()
    common_neighbor_analysis(copy)
    return np.asarray(copy.arrays["pyscal_structure"], dtype=np.int64)


def structure_fractions(atoms: Any) -> NDArray[np.float64]:
    """Share of the atoms in each of :data:`LOCAL_STRUCTURES`, ``[5]``. Raises as :func:`local_structure`."""
    counts = np.bincount(local_structure(atoms), minlength=len(LOCAL_STRUCTURES))
    return counts / len(atoms)
