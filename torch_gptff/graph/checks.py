"""Validation of structures and graphs before an energy is computed."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.errors import (
    CoincidentAtomsError,
    CoordinateRangeError,
    EmptyStructureError,
    GraphError,
    MissingCellError,
    NonFiniteError,
    SingularCellError,
    UnsupportedElementError,
)
from torch_gptff.graph.data import structure_count, structure_index
from torch_gptff.graph.geometry import volumes

MIN_DISTANCE = 1e-3
"""Largest distance of coincident atoms, Å. Nuclei never come this close: the file has a mistake."""

MAX_COORDINATE = 1e8
"""Largest coordinate, Å (one centimetre), so that bins of space and shifts of cells fit into int32 and int64."""

MIN_HEIGHT = 1e-3
"""Smallest distance between opposite faces of a periodic cell that has a volume, Å."""


def check_geometry(data: Data) -> None:
    """Refuse structures for which no graph can be built.

    Raises:
        GraphError: a field is missing, or the fields' shapes do not fit together.
        EmptyStructureError: a structure has no atoms.
        NonFiniteError: a position or cell vector is NaN or infinite.
        CoordinateRangeError: a position or cell vector is too large to place an atom with.
        MissingCellError: a periodic direction has no cell vector.
        SingularCellError: the periodic cell vectors are linearly dependent.
    """
    check_shapes(data)
    batch, n_structures = structure_index(data)
    counts = torch.bincount(batch, minlength=n_structures)
    if len(counts) == 0 or bool((counts == 0).any()):
        raise EmptyStructureError(f"{_which(counts == 0, n_structures)} has no atoms")
    limit = min(MAX_COORDINATE, MIN_DISTANCE / torch.finfo(data.pos.dtype).eps)
    if not all(bool(values.abs().max() <= limit) for values in (data.pos, data.cell)):  # also where there is a NaN
        _refuse_coordinates(data, batch, n_structures, limit)
    missing = data.pbc & (data.cell.norm(dim=-1) == 0)
    if bool(missing.any()):
        _, direction = missing.nonzero()[0].tolist()
        raise MissingCellError(
            f"{_which(missing.any(dim=-1), n_structures)} is periodic along {'abc'[direction]} but has no cell vector "
            "there: give the cell, or set pbc=False along it"
        )
    thin = data.pbc & (heights(completed_cell(data.cell, data.pbc)) < MIN_HEIGHT)
    if bool(thin.any()):
        raise SingularCellError(
            f"{_which(thin.any(dim=-1), n_structures)} has a periodic cell of zero volume (its vectors lie in one "
            "plane or line): correct the cell, or set pbc=False where there is no period"
        )


def check_shapes(data: Data) -> None:
    """Refuse a record whose fields do not fit together.

    Raises:
        GraphError: names the field, the shape it has and the shape it should have.
    """
    absent = [key for key in ("z", "pos", "cell", "pbc") if data.get(key) is None]
    if absent:
        raise GraphError(f"the structure has no {' and no '.join(absent)}: see the fields of CrystalData")
    n_atoms, n_structures = data.z.numel(), data.cell.size(0)
    expected = {"z": [n_atoms], "pos": [n_atoms, 3], "cell": [n_structures, 3, 3], "pbc": [n_structures, 3]}
    for key, shape in expected.items():
        if list(data[key].shape) != shape:
            raise GraphError(f"{key} must be {shape} for {n_atoms} atoms; got {list(data[key].shape)}")
    batch = data.get("batch")
    if batch is None and n_structures != 1:
        raise GraphError(f"{n_structures} cells but no batch: say which structure each atom belongs to")
    if structure_count(batch) > n_structures:
        raise GraphError(f"batch names structure {structure_count(batch) - 1}, but there are {n_structures} cells")


def check_graph(data: Data) -> None:
    """Refuse bonds and angles that do not belong to the atoms, or are not in the order that :class:`CrystalData` has.

    Raises:
        GraphError: names the field and its fault.
    """
    n_atoms, n_bonds = data.z.numel(), data.edge_index.size(1)
    if list(data.edge_shift.shape) != [n_bonds, 3]:
        raise GraphError(f"edge_shift must be {[n_bonds, 3]} for {n_bonds} bonds; got {list(data.edge_shift.shape)}")
    _check_indices(data.edge_index, "edge_index", n_atoms, "atoms")
    if bool((data.edge_index[1].diff() < 0).any()):
        raise GraphError("edge_index must ascend by its centres, row 1: sort it, or leave it out and have it built")
    if data.get("angle_index") is not None:
        _check_indices(data.angle_index, "angle_index", n_bonds, "bonds")
        if bool((data.angle_index[0].diff() < 0).any()):
            raise GraphError("angle_index must ascend by its first bonds, row 0: sort it, or leave it out")


def check_elements(data: Data, supported: frozenset[int]) -> None:
    """Refuse atomic numbers outside ``supported``.

    Raises:
        UnsupportedElementError: names the element and the atom.
    """
    present = torch.unique(data.z).tolist()
    unsupported = [number for number in present if number not in supported]
    if unsupported:
        batch, n_structures = structure_index(data)
        atom = int((data.z == unsupported[0]).nonzero()[0])
        raise UnsupportedElementError(
            f"atom {_atom(atom, batch, n_structures)} is {element_name(unsupported[0])}, which this model has no "
            f"parameters for; it knows {element_ranges(supported)}"
        )


def check_distances(data: Data, edge_index: Tensor, distances: Tensor) -> None:
    """Refuse bonds of zero length.

    Args:
        data: the structures
        edge_index: bonds, ``[2, E]``
        distances: their lengths in Å, ``[E]``

    Raises:
        CoincidentAtomsError: names the two atoms.
    """
    close = distances < MIN_DISTANCE
    if bool(close.any()):
        bond = int(close.nonzero()[0])
        neighbour, centre = edge_index[:, bond].tolist()
        batch, n_structures = structure_index(data)
        raise CoincidentAtomsError(
            f"atoms {_atom(centre, batch, n_structures)} and {_atom(neighbour, batch, n_structures)} are "
            f"{float(distances[bond]):.1e} Å apart (periodic images counted): remove the duplicate, or check that "
            "positions and cell are in Å"
        )


def completed_cell(cell: Tensor, pbc: Tensor) -> Tensor:
    """Cells ``[B, 3, 3]`` whose non-periodic vectors are replaced by unit vectors normal to all others.

    What remains singular has linearly dependent *periodic* vectors.
    """
    if bool(pbc.all()):
        return cell
    a, b, c = (cell * pbc.unsqueeze(-1)).unbind(dim=-2)
    eye = torch.eye(3, dtype=cell.dtype, device=cell.device)
    rows = [a, b, c]
    for k in range(3):
        u, v = rows[(k + 1) % 3], rows[(k + 2) % 3]
        normal = torch.linalg.cross(u, v)
        # Where u or v is itself still missing, any direction normal to the other one will do.
        known = torch.where((u.norm(dim=-1) > 0).unsqueeze(-1), u, v)
        axis = eye[known.abs().argmin(dim=-1)]
        normal = torch.where((normal.norm(dim=-1) > 0).unsqueeze(-1), normal, torch.linalg.cross(known, axis))
        normal = torch.where((normal.norm(dim=-1) > 0).unsqueeze(-1), normal, eye[k].expand_as(normal))
        unit = normal / normal.norm(dim=-1, keepdim=True)
        rows[k] = torch.where(pbc[:, k : k + 1], rows[k], unit)
    return torch.stack(rows, dim=-2)


def heights(cell: Tensor) -> Tensor:
    """Distances between opposite faces of cells ``[B, 3, 3]``, in Å, ``[B, 3]``; zero where there is no volume."""
    volume = volumes(cell).unsqueeze(-1)
    areas = torch.linalg.cross(cell.roll(-1, dims=-2), cell.roll(-2, dims=-2)).norm(dim=-1)
    return torch.where(areas > 0, volume / areas.clamp(min=torch.finfo(cell.dtype).tiny), torch.zeros_like(areas))


def element_name(number: int) -> str:
    """``"Fe (Z = 26)"``; numbers that no element has are named as such."""
    from ase.data import chemical_symbols

    if 0 < number < len(chemical_symbols):
        return f"{chemical_symbols[number]} (Z = {number})"
    return f"no element (Z = {number})"


def element_ranges(numbers: frozenset[int]) -> str:
    """``"H–Pu"``, or ``"H–He, Li, Na–Cl"``: sorted atomic numbers, runs drawn together."""
    from ase.data import chemical_symbols

    ordered = sorted(numbers)
    runs: list[list[int]] = []
    for number in ordered:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    ends = [(chemical_symbols[run[0]], chemical_symbols[run[-1]]) for run in runs]
    return ", ".join(first if first == last else f"{first}–{last}" for first, last in ends)


def _refuse_coordinates(data: Data, batch: Tensor, n_structures: int, limit: float) -> None:
    finite = data.pos.isfinite().all(dim=-1)
    if not bool(finite.all()):
        atom = int((~finite).nonzero()[0])
        raise NonFiniteError(
            f"atom {_atom(atom, batch, n_structures)} is at {data.pos[atom].tolist()}: every coordinate must be a "
            "finite number; look for a failed run or a missing value where the structure comes from"
        )
    if not bool(data.cell.isfinite().all()):
        bad = ~data.cell.isfinite().all(dim=-1).all(dim=-1)
        raise NonFiniteError(f"{_which(bad, n_structures)} has a cell with NaN or infinite entries")
    advice = f"coordinates in {data.pos.dtype} must be within {limit:.0e} Å, or their digits cannot place an atom"
    outside = (data.pos.abs() > limit).any(dim=-1)
    if bool(outside.any()):
        atom = int(outside.nonzero()[0])
        raise CoordinateRangeError(
            f"atom {_atom(atom, batch, n_structures)} is at {data.pos[atom].tolist()}: {advice}; check the units, look "
            "for a run that blew up, or move the structure to the origin"
        )
    long = (data.cell.abs() > limit).flatten(1).any(dim=-1)
    raise CoordinateRangeError(f"{_which(long, n_structures)} has a cell vector that is too long: {advice}")


def _check_indices(index: Tensor, name: str, count: int, of: str) -> None:
    if index.dim() != 2 or index.size(0) != 2:
        raise GraphError(f"{name} must have two rows; got {list(index.shape)}")
    if index.numel() and not (int(index.min()) >= 0 and int(index.max()) < count):
        raise GraphError(f"{name} has entries from {int(index.min())} to {int(index.max())} for {count} {of}")


def _which(bad: Tensor, n_structures: int) -> str:
    if n_structures <= 1:
        return "the structure"
    return f"structure {int(bad.nonzero()[0])} of the batch"


def _atom(atom: int, batch: Tensor, n_structures: int) -> str:
    """The atom's number within its own structure, counted from 0."""
    if n_structures <= 1:
        return str(atom)
    structure = int(batch[atom])
    first = int((batch == structure).nonzero()[0])
    return f"{atom - first} of structure {structure}"
