"""Energies of many structures at once, through any ASE calculator."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torch_gptff.errors import UncertainPredictionWarning
from torch_gptff.potential import Potential
from torch_gptff.workflows.inputs import as_atoms, as_calculator, potential_of


def energies_of(structures: Sequence[Any], calculator: Any) -> NDArray[np.float64]:
    """The energy of every structure in eV, ``[structures]``: see :func:`energies_and_stds`."""
    return energies_and_stds(structures, calculator)[0]


def energies_and_stds(
    structures: Sequence[Any], calculator: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """The energy of every structure, and its uncertainty where the model is a committee, eV, ``[structures]``.

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
    potential = potential_of(calculator)
    if potential is None:
        energies = [float(calculator.get_potential_energy(as_atoms(each).copy())) for each in structures]
        return np.array(energies), None
    is_committee = potential.model.num_readouts > 1
    with doubts_untold():
        found = potential.predict(structures, forces=False, stress=False, energy_std=is_committee)
    stds = [each.energy_std.item() for each in found if each.energy_std is not None]
    return np.array([each.energy.item() for each in found]), np.array(stds) if is_committee else None


@contextmanager
def doubts_untold() -> Iterator[None]:
    """Keep a prediction from warning of each of many structures that are all of one kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UncertainPredictionWarning)
        yield
