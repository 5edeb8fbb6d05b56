"""Formulas and space groups as people write them."""

from __future__ import annotations

import re

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def subscripted(formula: str) -> str:
    """``"LiFePO₄"``."""
    return formula.translate(_SUBSCRIPTS)


def group_symbol(symbol: str) -> str:
    """``"P4₂/mnm (136)"`` of ``"P4_2/mnm (136)"``."""
    return re.sub(r"_(\d)", lambda found: subscripted(found[1]), symbol)
