"""Structures that break things, and the conformance suites that any energy model or ASE calculator can inherit.

Needs pytest, which the rest of the package does not.
"""

import pytest

for _part in ("common", "derivative_tests", "symmetry_tests", "evaluation_tests", "declaration_tests"):
    pytest.register_assert_rewrite(f"{__name__}.{_part}")
pytest.register_assert_rewrite(f"{__name__}.calculator_conformance")

from torch_gptff.testing.calculator_conformance import CalculatorConformance  # noqa: E402
from torch_gptff.testing.conformance import EnergyModelConformance  # noqa: E402
from torch_gptff.testing.structures import STRUCTURES, with_elements  # noqa: E402

__all__ = ["STRUCTURES", "CalculatorConformance", "EnergyModelConformance", "with_elements"]
