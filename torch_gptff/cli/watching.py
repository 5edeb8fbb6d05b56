"""Watcher of a command within its process, such as the page of ``torch-gptff serve``; passed as click's ``obj``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import typer
    from ase.calculators.calculator import Calculator

    from torch_gptff.report import Table


class Watcher(Protocol):
    """Follows a command."""

    def told(self, words: str, calculator: Calculator | None, state: Any, share: float | None) -> None:
        """Hear how the computation of one structure stands.

        Args:
            words: for a reader
            calculator: that computes; ``calculator.atoms`` is the structure that it has computed last
            state: a ``RelaxationStep`` or a ``MolecularDynamicsFrame``, where it is one of these that was reached, or
                the record of the results
            share: of the work that is done, from 0 to 1; ``None`` where it is not known
        """

    def found(self, table: Table) -> None:
        """Take the table of results, with the columns for reports."""


class Nobody:
    """The watcher of a command that nobody follows."""

    def told(self, words: str, calculator: Calculator | None, state: Any, share: float | None) -> None:
        """Pass it over."""

    def found(self, table: Table) -> None:
        """Pass it over."""


def watcher_of(context: typer.Context) -> Watcher:
    """The watcher that the command was called with: ``app(arguments, obj=watcher)``."""
    watcher = context.find_root().obj
    return Nobody() if watcher is None else watcher
