"""What tests ask of the fixture ``fuzz``: to run a function on inputs of a strategy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis.strategies import SearchStrategy

Fuzz = Callable[[SearchStrategy[Any], Callable[[Any], None]], None]
