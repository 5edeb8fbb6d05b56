"""Shared parts of the conformance suite: structures fit for a model, and the comparison of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from ase import Atoms
from torch import Tensor

from torch_gptff.graph import CrystalData
from torch_gptff.potential import Potential, Prediction
from torch_gptff.testing.structures import STRUCTURES, with_elements


class PotentialTests:
    """Base of the tests of a :class:`~torch_gptff.Potential`, which a subclass gives as the fixture ``potential``.

    Attributes:
        rounding: how far results that are equal in exact arithmetic may differ, in eV, eV/Å and eV/Å³, and relative
            to the largest
    """

    rounding: ClassVar[float] = 1e-10

    @pytest.fixture
    def potential(self) -> Potential:
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `potential`: float64, in evaluation mode")

    @pytest.fixture
    def structures(self, potential: Potential) -> dict[str, Atoms]:
        return {name: self.build(potential, name) for name in STRUCTURES}

    @pytest.fixture
    def predictions(self, potential: Potential, structures: dict[str, Atoms]) -> dict[str, FullPrediction]:
        return dict(zip(structures, predict(potential, list(structures.values())), strict=True))

    def build(self, potential: Potential, name: str) -> Atoms:
        """The structure of this name, with elements that the model knows."""
        return with_elements(STRUCTURES[name](), potential.model.elements)

    def assert_same(self, actual: Prediction, expected: Prediction, what: str) -> None:
        """Both predictions agree in every quantity that both have, to rounding."""
        for quantity in ("energy", "forces", "stress", "energies"):
            one, other = getattr(actual, quantity), getattr(expected, quantity)
            if one is not None and other is not None:
                assert_close(one, other, self.rounding, f"{what}: {quantity}")


@dataclass(frozen=True)
class FullPrediction(Prediction):
    """A prediction that has forces and stress."""

    forces: Tensor
    stress: Tensor


def predict(potential: Potential, structures: Sequence[Atoms]) -> list[FullPrediction]:
    """Energy, forces and stress, and atomic energies where the model has them."""
    found = []
    for prediction in potential.predict(structures, energies=potential.model.is_atomwise):
        assert prediction.forces is not None, "no forces were given"
        assert prediction.stress is not None, "no stress was given"
        found.append(FullPrediction(prediction.energy, prediction.forces, prediction.stress, prediction.energies))
    return found


def predict_one(potential: Potential, atoms: Atoms) -> FullPrediction:
    """As :func:`predict`, of one structure."""
    return predict(potential, [atoms])[0]


def record(atoms: Atoms) -> CrystalData:
    """The structure in float64, without a graph."""
    return CrystalData.from_ase(atoms)


def assert_close(actual: Any, expected: Any, tolerance: float, what: str) -> None:
    """Every number agrees within ``tolerance · (1 + the largest magnitude)``; what is NaN is NaN in both."""
    actual, expected = (as_array(values) for values in (actual, expected))
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape} instead of {expected.shape}"
    assert np.array_equal(np.isnan(actual), np.isnan(expected)), f"{what}: NaN in one and not in the other"
    error = largest(actual - expected)
    allowed = tolerance * (1 + largest(expected))
    assert error <= allowed, f"{what}: differs by {error:.2e}, more than {allowed:.2e}"


def largest(values: Any) -> float:
    """The largest magnitude of what is not NaN; 0 where there is nothing."""
    magnitudes = np.abs(as_array(values))
    return float(magnitudes[~np.isnan(magnitudes)].max(initial=0))


def as_array(values: Any) -> np.ndarray:
    """A tensor or an array in float64, cut off from the autograd graph."""
    return np.asarray(values.detach() if isinstance(values, Tensor) else values, dtype=np.float64)


def has_volume(atoms: Atoms) -> bool:
    """Whether the cell has three independent vectors, so that stress is defined."""
    return bool(atoms.cell.rank == 3)


def float64(values: Any) -> Tensor:
    return torch.as_tensor(np.array(values), dtype=torch.float64)
