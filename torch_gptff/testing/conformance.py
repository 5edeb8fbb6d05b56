"""The conformance suite of energy models."""

from __future__ import annotations

from torch_gptff.testing.declaration_tests import DeclarationTests
from torch_gptff.testing.derivative_tests import DerivativeTests
from torch_gptff.testing.evaluation_tests import EvaluationTests
from torch_gptff.testing.symmetry_tests import SymmetryTests


class EnergyModelConformance(DerivativeTests, SymmetryTests, EvaluationTests, DeclarationTests):
    """Everything an energy model must be, as pytest tests that any model inherits::

        class TestMyModel(EnergyModelConformance):
            @pytest.fixture
            def potential(self):
                return Potential(MyModel()).double().eval()

    The potential is in float64 and in evaluation mode; no test changes it. The structures are those of
    :mod:`torch_gptff.testing.structures`, with the elements that the model knows.

    What a model declares of itself (``is_extensive``, ``is_local``, ``is_smooth``) is tested too. The test of a
    property that it declares it lacks is a strict expected failure; ``reasons`` says why the model lacks it.
    Tolerances are class attributes, for a subclass to set where it has a reason.
    """
