"""Frames: structures with labels (energy, forces, stress) and their origin."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.errors import GPTFFError, LabelError, UnknownElementError
from torch_gptff.graph import CrystalData
from torch_gptff.graph.checks import check_geometry
from torch_gptff.graph.formula import reduced_formula
from torch_gptff.models.properties import TAKEN
from torch_gptff.units import UnitConvention

LABELS = ("energy", "forces", "stress")
"""Labels of a frame: energy of the cell in eV, forces in eV/Å, and stress in eV/Å³, positive = tensile."""

ORIGIN = ("source", "material", "frame_id", "split")
"""Strings that state the origin of a frame: its source, whose frames share an energy reference; the material (its
reduced formula where nothing better is known); its name; and the part of a split that its file assigns it to."""

HEAVIEST = 118
"""The largest atomic number of an element."""

ORDINARY = 1e6
"""Largest coordinate or cell vector, Å, for the fast check."""


def make_frame(
    numbers: ArrayLike,
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    *,
    where: str,
    source: str,
    frame_id: str,
    energy: float | None = None,
    forces: ArrayLike | None = None,
    stress: ArrayLike | None = None,
    convention: UnitConvention = UnitConvention(),  # noqa: B008, it is frozen
    material: str | None = None,
    split: str = "",
    kept: Mapping[str, Tensor | str] | None = None,
) -> CrystalData:
    """Make a frame from the values in a file, converted to the units and signs of this package.

    A label that is not given is NaN in the frame, so that frames with different labels still make one batch: see
    :func:`is_known`.

    Args:
        numbers: atomic numbers, ``[N]``
        positions: Å, ``[N, 3]``
        cell: vectors as rows, Å, ``[3, 3]``
        pbc: the periodic directions, ``[3]`` or one for all
        where: file and place of the frame, for messages
        source: name of the source, whose frames share an energy reference
        frame_id: name of the frame
        energy: energy in the unit of ``convention``
        forces: eV/Å, ``[N, 3]``
        stress: stress in the unit, sign and order of ``convention``, ``[6]``, ``[9]`` or ``[3, 3]``
        convention: the units and signs of the file
        material: name of the material; by default the reduced formula
        split: part of a split that the file assigns it to
        kept: other fields of the record: labels in the unit of the file, and texts

    Raises:
        StructureError: no energy can be computed for the structure.
        LabelError: a label is not finite, or has the wrong shape.
    """
    z = np.array(numbers, dtype=np.int64)
    vectors = _array(cell, (3, 3), "cell", where)
    with np.errstate(invalid="ignore"):
        volume = abs(float(np.linalg.det(vectors)))
    atoms: dict[str, Tensor] = {
        "z": torch.from_numpy(z),
        "pos": torch.from_numpy(_array(positions, (len(z), 3), "positions", where)),
        "cell": torch.from_numpy(vectors).unsqueeze(0),
        "pbc": torch.from_numpy(np.broadcast_to(np.asarray(pbc, dtype=bool), (1, 3)).copy()),
    }
    _check(atoms, volume, where)
    return CrystalData(
        **atoms,
        energy=_energy(energy, len(z), convention, where),
        forces=_forces(forces, len(z), where),
        stress=_stress(stress, volume, convention, where),
        source=source,
        material=reduced_formula(z) if material is None else material,
        frame_id=frame_id,
        split=split,
        **(kept or {}),
    )


def is_known(data: Data, label: str) -> Tensor:
    """Whether a label is known: bool, ``[B]`` for energy and stress, ``[N]`` for forces."""
    return ~data[label].isnan().reshape(len(data[label]), -1).any(dim=1)


def has_labels(frame: Data) -> bool:
    """Whether a frame has any label."""
    return any(bool(is_known(frame, label).any()) for label in (*LABELS, *other_labels(frame)))


def other_labels(frame: Data) -> list[str]:
    """The names of the labels of a frame beside :data:`LABELS`."""
    return [key for key, value in frame.to_dict().items() if key not in TAKEN and isinstance(value, Tensor)]


def _array(values: ArrayLike, shape: tuple[int, ...], name: str, where: str) -> NDArray[np.float64]:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise LabelError(f"{where}: {name} are not an array of numbers ({error})") from error
    if array.shape != shape:
        raise LabelError(f"{where}: {name} have the shape {list(array.shape)}, and must have {list(shape)}")
    return array


def _check(atoms: dict[str, Tensor], volume: float, where: str) -> None:
    """Every atom is of an element; the rest as :func:`check_geometry`, at a tenth of its cost for frames that pass."""
    numbers = atoms["z"].numpy()
    if len(numbers) and not 0 < numbers.min() <= numbers.max() <= HEAVIEST:
        atom = int(np.flatnonzero((numbers < 1) | (numbers > HEAVIEST))[0])
        raise UnknownElementError(
            f"{where}: atom {atom} has the atomic number {numbers[atom]}, which no element has: name an element for "
            "every atom"
        )
    positions, cell = atoms["pos"].numpy(), atoms["cell"][0].numpy()
    _, middle, longest = np.sort(np.sqrt((cell**2).sum(axis=1)))
    # A comparison with NaN is false. The volume is the height over a face times its area, at most these two lengths.
    ordinary = len(positions) > 0 and np.abs(positions).max() < ORDINARY and longest < ORDINARY
    if ordinary and volume > 0.1 * middle * longest:
        return
    try:
        check_geometry(CrystalData(**atoms))
    except GPTFFError as error:
        raise type(error)(f"{where}: {error}") from error


def _energy(energy: float | None, n_atoms: int, convention: UnitConvention, where: str) -> Tensor:
    if energy is None:
        return torch.full((1,), torch.nan, dtype=torch.float64)
    total = convention.total_energy(float(_array(energy, (), "energy", where)), n_atoms)
    _require_finite(np.array(total), "energy", where)
    return torch.tensor([total], dtype=torch.float64)


def _forces(forces: ArrayLike | None, n_atoms: int, where: str) -> Tensor:
    if forces is None:
        return torch.full((n_atoms, 3), torch.nan, dtype=torch.float64)
    array = _array(forces, (n_atoms, 3), "forces", where)
    _require_finite(array, "forces", where)
    return torch.from_numpy(array)


def _stress(stress: ArrayLike | None, volume: float, convention: UnitConvention, where: str) -> Tensor:
    if stress is None:
        return torch.full((1, 3, 3), torch.nan, dtype=torch.float64)
    if volume == 0:
        raise LabelError(f"{where}: there is a stress, but no cell with a volume")
    try:
        tensor = convention.stress_tensor(stress, volume)
    except (TypeError, ValueError) as error:
        raise LabelError(f"{where}: {error}") from error
    _require_finite(tensor, "stress", where)
    return torch.from_numpy(tensor).unsqueeze(0)


def _require_finite(values: NDArray[np.float64], name: str, where: str) -> None:
    if not np.isfinite(values).all():
        raise LabelError(
            f"{where}: the {name} {'are' if name == 'forces' else 'is'} not finite: look for a failed calculation, and "
            "leave the label out if it is not known"
        )
