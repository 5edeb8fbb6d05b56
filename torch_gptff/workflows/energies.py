"""Energies of many structures at once, through any ASE calculator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.potential import Potential


def energies_of(structures: Sequence[Atoms], calculator: Any) -> NDArray[np.float64]:
    """The energy of every structure in eV, ``[structures]``.

    A potential, or its calculator, is given all of them together, which is many times faster for small crystals. Any
    other calculator is given one after the other.

    Args:
        structures: left as they are
        calculator: an ASE calculator or a :class:`~torch_gptff.Potential`

    Raises:
        StructureError: a structure that the model refuses.
    """
    if isinstance(calculator, GPTFFCalculator):
        calculator = calculator.potential
    if isinstance(calculator, Potential):
        predictions = calculator.predict(structures, forces=False, stress=False)
        return np.array([prediction.energy.item() for prediction in predictions])
    return np.array([float(calculator.get_potential_energy(atoms.copy())) for atoms in structures])
