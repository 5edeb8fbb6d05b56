"""The conformance suite with one potential for all tests of a class: none of them changes it."""

from __future__ import annotations

from functools import lru_cache

import pytest
from ase import Atoms

from torch_gptff.potential import Potential
from torch_gptff.testing import EnergyModelConformance
from torch_gptff.testing.common import FullPrediction, predict


class OnePotentialConformance(EnergyModelConformance):
    """The suite on what :meth:`make` makes, and its predictions, once for each class."""

    @staticmethod
    def make() -> Potential:
        raise NotImplementedError

    @pytest.fixture
    def potential(self) -> Potential:
        return potential_of(type(self))

    @pytest.fixture
    def predictions(self, potential: Potential, structures: dict[str, Atoms]) -> dict[str, FullPrediction]:
        if type(self) not in _PREDICTIONS:
            _PREDICTIONS.clear()
            _PREDICTIONS[type(self)] = dict(zip(structures, predict(potential, list(structures.values())), strict=True))
        return _PREDICTIONS[type(self)]


_PREDICTIONS: dict[type, dict[str, FullPrediction]] = {}


@lru_cache(maxsize=1)
def potential_of(conformance: type[OnePotentialConformance]) -> Potential:
    """The potential of a class of tests."""
    return conformance.make()
