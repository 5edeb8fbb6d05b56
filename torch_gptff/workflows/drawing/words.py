"""Formulas as people write them."""

from __future__ import annotations

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def subscripted(formula: str) -> str:
    """``"LiFePO₄"``."""
    return formula.translate(_SUBSCRIPTS)
