"""Energies of many structures at once, through any ASE calculator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.potential import Potential
from torch_gptff.workflows.inputs import as_atoms, as_calculator


def energies_of(structures: Sequence[Any], calculator: Any) -> NDArray[np.float64]:
    """The energy of every structure in eV, ``[structures]``.

    A potential, or its calculator, is given all of them together, which is many times faster for small crystals. Any
    other calculator is given one after the other.

    Args:
        structures: left as they are
        calculator: anything that :func:`~torch_gptff.workflows.relax` takes

    Raises:
        StructureError: a structure that the model refuses.
    """
    if not isinstance(calculator, Potential):
        calculator = as_calculator(calculator)
    potential = calculator.potential if isinstance(calculator, GPTFFCalculator) else calculator
    if isinstance(potential, Potential):
        predictions = potential.predict(structures, forces=False, stress=False)
        return np.array([prediction.energy.item() for prediction in predictions])
    return np.array([float(calculator.get_potential_energy(as_atoms(each).copy())) for each in structures])
