"""Supercells: how often a cell is repeated along its vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from torch_gptff.errors import GPTFFError


def repetitions(
    atoms: Atoms, supercell: Sequence[int] | None, min_length: float, error: type[GPTFFError]
) -> tuple[int, int, int]:
    """Repetitions of a cell along its vectors.

    Args:
        atoms: with a cell of three vectors
        supercell: the repetitions; ``None`` for as many as ``min_length`` asks for
        min_length: smallest distance between opposite faces of the supercell, Å
        error: class of the error

    Raises:
        GPTFFError: ``supercell`` is not three numbers of at least 1; of the class ``error``.
    """
    if supercell is None:
        heights = 1 / np.linalg.norm(atoms.cell.reciprocal().array, axis=1)
        supercell = [int(n) for n in np.ceil(min_length / heights - 1e-6)]
    if len(supercell) != 3 or min(supercell) < 1:
        raise error(f"a supercell is given by three numbers of 1 or more, not {list(supercell)}")
    a, b, c = (int(n) for n in supercell)
    return a, b, c
