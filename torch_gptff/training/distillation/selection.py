"""Selection of structures to label: those on which students disagree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.errors import DistillationError
from torch_gptff.potential import Potential

CHUNK = 256
"""Number of structures that are predicted together."""


def require_an_ensemble(students: Sequence[Potential]) -> None:
    """Refuse students that cannot disagree.

    Raises:
        DistillationError: it is one model with one readout, or none.
    """
    if not students:
        raise DistillationError("no students to select by")
    if len(students) == 1 and students[0].model.num_readouts == 1:
        raise DistillationError(
            "one student with one readout cannot disagree: give several, or one that is a committee"
        )


def disagreement(students: Sequence[Potential], structures: Sequence[Atoms]) -> NDArray[np.float64]:
    """Largest disagreement of the students about an atom of each structure, eV/Å, ``[S]``.

    It is the standard deviation of a component of the force over the students, or over the members of one committee.

    Raises:
        DistillationError: see :func:`require_an_ensemble`.
        StructureError: a student does not know an element.
    """
    require_an_ensemble(students)
    values: list[float] = []
    for start in range(0, len(structures), CHUNK):
        chunk = structures[start : start + CHUNK]
        if len(students) == 1:
            predictions = students[0].predict(chunk, forces=False, stress=False, forces_std=True)
            spreads = [prediction.forces_std for prediction in predictions]
        else:
            each = [student.predict(chunk, stress=False) for student in students]
            spreads = [
                torch.stack([one.forces for one in of_one if one.forces is not None]).double().var(0).mean(-1).sqrt()
                for of_one in zip(*each, strict=True)
            ]
        values += [float(spread.max()) for spread in spreads if spread is not None]
    return np.array(values)


def most_disputed(values: Sequence[float], keep: int) -> list[int]:
    """The numbers of the ``keep`` structures of the largest disagreement, in their order."""
    ranked = np.argsort(-np.asarray(values), kind="stable")[:keep]
    return sorted(ranked.tolist())
