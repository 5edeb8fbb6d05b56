"""Packages that import what they name when it is first asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any


class _LazyPackage(ModuleType):
    """A package whose names are those of its modules, imported on first use.

    A function may be called like the module that it is in: ``workflows.relax`` is the function, also after the module
    ``workflows.relax`` has been imported, which Python would otherwise put in its place.
    """

    _homes: Mapping[str, str]
    _otherwise: Callable[[str, str], Any] | None

    def __getattr__(self, name: str) -> Any:
        if name in self._homes:
            return getattr(import_module(self._homes[name], self.__name__), name)
        if not name.startswith("_") and find_spec(f"{self.__name__}.{name}") is not None:
            return import_module(f"{self.__name__}.{name}")
        if self._otherwise is not None:
            return self._otherwise(self.__name__, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._homes or not isinstance(value, ModuleType):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._homes})


def import_lazily(package: str, homes: Mapping[str, str], otherwise: Callable[[str, str], Any] | None = None) -> None:
    """Import the public names of a package when they are first asked for (PEP 562), and so its modules.

    Type checkers see the imports that stand under ``if TYPE_CHECKING`` in the package.

    Args:
        package: ``__name__`` of the package, in whose ``__init__.py`` this is called
        homes: by module, relative to the package (``".data"``), the names that it has, separated by spaces
        otherwise: called with the package and a name that it does not have, to return what that stands for, or raise
            ``AttributeError``
    """
    module = sys.modules[package]
    module.__dict__["_homes"] = {name: home for home, names in homes.items() for name in names.split()}
    module.__dict__["_otherwise"] = otherwise
    module.__class__ = _LazyPackage
