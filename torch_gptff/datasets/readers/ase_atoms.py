"""From ASE ``Atoms`` that carry labels to a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch_gptff.datasets.frames import ORIGIN, make_frame
from torch_gptff.errors import LabelError
from torch_gptff.graph import CrystalData
from torch_gptff.units import UnitConvention

if TYPE_CHECKING:
    from ase import Atoms

REFERENCE = "REF_"
"""Labels under such names are what to train on; the plain names may then be what another potential predicted."""


@dataclass(frozen=True)
class LabelKeys:
    """The names of labels; ``None`` is ``REF_<label>``, or ``<label>`` in a frame that has no ``REF_*`` at all."""

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None


def frame_of_atoms(
    atoms: Atoms, keys: LabelKeys, convention: UnitConvention, *, where: str, source: str, frame_id: str
) -> CrystalData:
    """The frame of ``Atoms`` with the labels that they, or the calculator attached to them, hold.

    Labels are taken as they were calculated: forces are not set to zero by constraints, as ``get_forces`` would.
    ``source``, ``frame_id``, ``material`` and ``split`` come from ``atoms.info`` where it has them.

    Raises:
        LabelError: a label named in ``keys`` is not there; or see :func:`make_frame`.
    """
    results: dict[str, Any] = dict(atoms.calc.results) if atoms.calc is not None else {}
    known: dict[str, Any] = {**results, **atoms.info, **atoms.arrays}
    prefix = REFERENCE if any(str(key).startswith(REFERENCE) for key in known) else ""
    labels: dict[str, Any] = {}
    for label in ("energy", "forces", "stress"):
        asked = getattr(keys, label)
        if asked is not None and asked not in known:
            has = ", ".join(sorted(set(map(str, known)) - {"numbers", "positions"})) or "nothing"
            raise LabelError(f"{where}: there is no {asked!r} to take the {label} from; there is {has}")
        labels[label] = known.get(asked or prefix + label)
    origin: dict[str, Any] = {"source": source, "frame_id": frame_id}
    origin |= {key: str(atoms.info[key]) for key in ORIGIN if key in atoms.info}
    return make_frame(
        atoms.numbers,
        atoms.positions,
        atoms.cell.array,
        atoms.pbc,
        where=where,
        convention=convention,
        **origin,
        **labels,
    )
