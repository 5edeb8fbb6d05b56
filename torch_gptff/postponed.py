"""Parts of PyTorch and PyG that are imported with them, and that commands hardly use: loaded when one does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import ModuleType
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

COMPILER = "torch._dynamo"

POSTPONED = frozenset({COMPILER, "torch_geometric.datasets"})
"""PyG imports the compiler of PyTorch, and SymPy with it, to tell compiled modules from others, and its data sets with
pandas and requests: half of the time until a command begins."""


class _Postponed(ModuleType):
    """A module that is executed when something is asked of it that it does not have yet."""

    _lock = RLock()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__path__", "__all__"):  # looked for in every module, by inspect
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        with _Postponed._lock:
            loader = self.__dict__.pop("_postponed_loader", None)
            if loader is not None:
                self._execute(loader)
        if type(self) is not _Postponed or name in self.__dict__:
            return getattr(self, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def _execute(self, loader: Loader) -> None:
        spec = self.__spec__
        assert spec is not None
        spec.loader = self.__loader__ = loader
        self.__path__ = spec.submodule_search_locations or []
        loader.exec_module(self)
        self.__class__ = ModuleType  # type: ignore[assignment]


class _PostponingLoader(Loader):
    """Makes a :class:`_Postponed` of a module.

    Its ``__path__`` is missing until it is executed, so that importing a module of the package executes it first.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Postponed(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["_postponed_loader"] = self._loader
        module.__dict__.pop("__path__", None)


class _Postponer(MetaPathFinder):
    """Finds the modules of :data:`POSTPONED`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname in POSTPONED else None
        if spec is not None and isinstance(spec.loader, Loader):
            spec.loader = _PostponingLoader(spec.loader)
        return spec


def postpone_imports() -> None:
    """Load the modules of :data:`POSTPONED` when they are used, in this process: for programs, not for libraries."""
    if not any(isinstance(finder, _Postponer) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Postponer())


def is_postponed(name: str) -> bool:
    """Whether a module is imported, and will be loaded when it is used."""
    return isinstance(sys.modules.get(name), _Postponed)


def unless_postponed(decorator: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """A decorator that speaks to the compiler of PyTorch, such as ``torch.compiler.disable``, left out where the
    compiler is postponed: nothing is compiled there, and the decorator would load it."""
    return lambda function: function if is_postponed(COMPILER) else decorator(function)
