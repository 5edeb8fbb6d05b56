"""Conversion of ASE ``Atoms`` with labels to frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from torch_gptff.datasets.frames import ORIGIN, make_frame
from torch_gptff.datasets.readers.labels import LabelFinder, LabelKeys
from torch_gptff.graph import CrystalData
from torch_gptff.units import UnitConvention

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["LabelKeys", "frame_of_atoms", "frames_of_atoms"]


def frames_of_atoms(
    structures: Iterable[tuple[Atoms, str, str]], labels: LabelFinder, *, source: str
) -> Iterator[CrystalData]:
    """The frames of ``(atoms, where, frame_id)``, without those that the file says are not converged.

    Raises:
        LabelError, StructureError: see :func:`frame_of_atoms`.
    """
    for atoms, where, frame_id in structures:
        if not labels.is_left_out(atoms.info):
            yield _frame(atoms, labels, where, source, frame_id)


def frame_of_atoms(
    atoms: Atoms, keys: LabelKeys, convention: UnitConvention, *, where: str, source: str, frame_id: str
) -> CrystalData:
    """The frame of ``Atoms`` with the labels that they, or the calculator attached to them, hold.

    Labels are taken as they were calculated: forces are not set to zero by constraints, as ``get_forces`` would.
    ``source``, ``frame_id``, ``material`` and ``split`` come from ``atoms.info`` where it has them.

    Raises:
        LabelError: a label named in ``keys`` is not there; or see :func:`make_frame`.
    """
    return _frame(atoms, LabelFinder(where, keys, convention), where, source, frame_id)


def _frame(atoms: Atoms, labels: LabelFinder, where: str, source: str, frame_id: str) -> CrystalData:
    results: dict[str, Any] = dict(atoms.calc.results) if atoms.calc is not None else {}
    known: dict[str, Any] = {**results, **atoms.info, **atoms.arrays}
    origin: dict[str, Any] = {"source": source, "frame_id": frame_id}
    origin |= {key: str(atoms.info[key]) for key in ORIGIN if key in atoms.info}
    return make_frame(
        atoms.numbers,
        atoms.positions,
        atoms.cell.array,
        atoms.pbc,
        where=where,
        **origin,
        **labels.labels(known, atoms.arrays.keys(), abs(float(atoms.cell.volume)), where),
    )
