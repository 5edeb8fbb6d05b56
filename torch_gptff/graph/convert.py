"""Conversion of ASE ``Atoms`` and pymatgen ``Structure``/``Molecule`` to :class:`CrystalData` and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from torch_gptff.errors import EmptyStructureError, GraphError, PartialOccupancyError, UnknownElementError
from torch_gptff.graph.data import CrystalData

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Molecule, Structure


def from_structure(structure: Any, dtype: torch.dtype = torch.float64) -> CrystalData:
    """A record of an ASE ``Atoms``, a pymatgen ``Structure`` or ``Molecule``, or a record already.

    Raises:
        GraphError: the object is none of these.
    """
    if isinstance(structure, CrystalData):
        return structure
    if hasattr(structure, "get_atomic_numbers"):
        return from_ase(structure, dtype)
    if hasattr(structure, "sites"):
        return from_pymatgen(structure, dtype)
    raise GraphError(
        f"cannot make a crystal of a {type(structure).__name__}: give an ASE Atoms, a pymatgen Structure or Molecule, "
        "or a CrystalData"
    )


def from_ase(atoms: Atoms, dtype: torch.dtype = torch.float64) -> CrystalData:
    """A record of ASE ``Atoms``: numbers, positions, cell and periodic directions (no labels).

    Positions are kept in float64 by default: differences between them are what a model sees, in its own dtype.
    """
    return _record(atoms.get_atomic_numbers(), atoms.get_positions(), atoms.cell.array, atoms.pbc, dtype)


def to_ase(data: CrystalData) -> Atoms:
    """ASE ``Atoms`` of a record of one structure: numbers, positions, cell and periodic directions (no labels)."""
    from ase import Atoms

    _require_one(data)
    return Atoms(
        numbers=data.z.cpu().numpy(),
        positions=data.pos.detach().cpu().numpy(),
        cell=data.cell[0].detach().cpu().numpy(),
        pbc=data.pbc[0].cpu().numpy(),
    )


def from_pymatgen(structure: Structure | Molecule, dtype: torch.dtype = torch.float64) -> CrystalData:
    """A record of a pymatgen ``Structure`` or ``Molecule``.

    Raises:
        PartialOccupancyError: a site holds several species, or one with an occupancy other than 1.
        EmptyStructureError: there are no sites.
        UnknownElementError: a site is a dummy and no atom.
    """
    from pymatgen.core import DummySpecies

    if len(structure) == 0:
        raise EmptyStructureError("the structure has no sites")
    for number, site in enumerate(structure):
        if not site.is_ordered:
            raise PartialOccupancyError(
                f"site {number} holds {site.species_string}: an energy belongs to whole atoms; order the structure "
                "first (pymatgen: OrderDisorderedStructureTransformation or EnumerateStructureTransformation)"
            )
    for number, site in enumerate(structure):
        if isinstance(site.specie, DummySpecies):
            raise UnknownElementError(f"site {number} is {site.species_string}, which is no element: leave it out")
    numbers = np.array([site.specie.Z for site in structure])
    lattice = getattr(structure, "lattice", None)
    cell = np.zeros((3, 3)) if lattice is None else lattice.matrix
    pbc = np.zeros(3, dtype=bool) if lattice is None else np.array(lattice.pbc)
    return _record(numbers, structure.cart_coords, cell, pbc, dtype)


def to_pymatgen(data: CrystalData) -> Structure | Molecule:
    """A pymatgen ``Structure`` of a record of one structure, or a ``Molecule`` where there is no period.

    Raises:
        GraphError: a batch, or a periodic structure with an undefined cell vector (pymatgen needs all three).
    """
    from pymatgen.core import Lattice, Molecule, Structure

    _require_one(data)
    numbers, positions = data.z.tolist(), data.pos.detach().cpu().numpy()
    pbc = data.pbc[0].tolist()
    if not any(pbc):
        return Molecule(numbers, positions)
    cell = data.cell[0].detach().cpu().numpy()
    if np.linalg.det(cell) == 0:
        raise GraphError("pymatgen needs three cell vectors: give the open directions a length of vacuum")
    return Structure(Lattice(cell, pbc=tuple(pbc)), numbers, positions, coords_are_cartesian=True)


def _record(numbers: Any, positions: Any, cell: Any, pbc: Any, dtype: torch.dtype) -> CrystalData:
    return CrystalData(
        z=torch.as_tensor(np.array(numbers), dtype=torch.int64),
        pos=torch.as_tensor(np.array(positions), dtype=dtype),
        cell=torch.as_tensor(np.array(cell), dtype=dtype).unsqueeze(0),
        pbc=torch.as_tensor(np.array(pbc), dtype=torch.bool).unsqueeze(0),
    )


def _require_one(data: CrystalData) -> None:
    if data.cell.size(0) != 1:
        raise GraphError(f"a batch of {data.cell.size(0)} structures: take them apart with to_data_list() first")
