"""Error reporting and exit codes of the command line: one line on standard error for each error or warning.

Exit codes: 0 all is well; 1 something failed, or did not converge; 2 the command was called wrongly, or would replace
results; 130 and 143 it was stopped by SIGINT or SIGTERM.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from torch_gptff.cli.output import visible
from torch_gptff.errors import ExistingResultsError, GPTFFError

if TYPE_CHECKING:
    from ase import Atoms

EXTRAS = {
    "lightning": "train",
    "yaml": "train",
    "lmdb": "lmdb",
    "phonopy": "phonons",
    "pyscal3": "diffraction",
    "distributed": "screen",
    "pyarrow": "screen",
    **dict.fromkeys(("starlette", "uvicorn"), "serve"),
}
"""Extra of this package with which a module is installed."""


class ReportingGroup(TyperGroup):
    """Commands whose errors are told in one line, and shown with their origin under ``--debug``."""

    def invoke(self, ctx: Any) -> Any:
        with warnings.catch_warnings(), _telling_logs(), _terminations_raised():
            warnings.showwarning = _tell_warning
            warnings.filterwarnings("ignore", ".torch.jit.*deprecated", FutureWarning)  # of torch_geometric to torch
            try:
                return super().invoke(ctx)
            except (GPTFFError, OSError) as error:
                if ctx.params["debug"] or isinstance(error, BrokenPipeError):
                    raise
                tell("error", error)
                raise typer.Exit(2 if isinstance(error, ExistingResultsError) else 1) from error
            except KeyboardInterrupt as error:
                if ctx.params["debug"]:
                    raise
                number = error.signal if isinstance(error, Terminated) else signal.SIGINT
                tell("stopped", f"{number.name}; {_what_is_kept(self, ctx)}")
                raise typer.Exit(128 + number) from error
            except ModuleNotFoundError as error:
                if ctx.params["debug"] or error.name not in EXTRAS:
                    raise
                tell("error", f"{error.name} is not installed: pip install 'torch-gptff[{EXTRAS[error.name]}]'")
                raise typer.Exit(1) from error


class Terminated(KeyboardInterrupt):
    """A signal that ends the command, as SIGINT does."""

    signal = signal.SIGTERM


@contextmanager
def _terminations_raised() -> Iterator[None]:
    """Let SIGTERM unwind what is under way, so that nothing is left half written; in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _what_is_kept(group: TyperGroup, ctx: Any) -> str:
    command = group.commands.get(ctx.invoked_subcommand)
    names = {parameter.name for parameter in command.params} if command else set()
    if "resume" in names:
        return "what was written is kept, and --resume goes on with it"
    return "what was written is kept"


class Failures(list[dict[str, str]]):
    """Inputs that failed: each is reported at once, and the others go on.

    Args:
        context: of the running command
    """

    def __init__(self, context: typer.Context) -> None:
        super().__init__()
        self._debug = context.find_root().params["debug"]
        self._allows_close = bool(context.params.get("allow_close"))

    def check(self, atoms: Atoms) -> None:
        """Refuse a structure that no energy can be computed for, or, unless --allow-close is set, none that means much.

        Raises:
            CloseAtomsError: two atoms are nearer than a third of touching.
            StructureError: see :func:`~torch_gptff.graph.checks.check_geometry`.
        """
        from torch_gptff.graph.contacts import check_contacts

        if not self._allows_close:
            check_contacts(atoms)

    @contextmanager
    def alone(self, label: str) -> Iterator[None]:
        """Let what happens to ``label`` in this block fail by itself, and name it in what is warned of."""
        try:
            with naming(label):
                yield
        except (GPTFFError, OSError) as error:
            self.add(label, error)

    def add(self, label: str, error: Exception) -> None:
        """Report the error of an input, or raise it under ``--debug``."""
        if self._debug:
            raise error
        self.append({"file": label, "error": str(error)})
        tell("error", error if label in str(error) else f"{label}: {error}")


@contextmanager
def naming(label: str) -> Iterator[None]:
    """Name an input in the warnings of this block."""
    with warnings.catch_warnings():
        warnings.showwarning = _naming(label, warnings.showwarning)
        yield


class _Teller(logging.Handler):
    """Writes what the package logs to standard error; of several processes that train together, only the first."""

    def emit(self, record: logging.LogRecord) -> None:
        if os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0":
            tell("warning" if record.levelno >= logging.WARNING else "note", record.getMessage())


@contextmanager
def _telling_logs() -> Iterator[None]:
    logger, teller = logging.getLogger("torch_gptff"), _Teller()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(teller)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(teller)
        logger.setLevel(level)
        logger.propagate = propagate


def tell_notes() -> None:
    """Report notes for the rest of the command, too, such as the keys that labels are read from."""
    logging.getLogger("torch_gptff").setLevel(logging.INFO)


def _naming(label: str, show: Callable[..., None]) -> Callable[..., None]:
    def show_with_label(message: Warning | str, *rest: Any, **more: Any) -> None:
        show(message if label in str(message) else f"{label}: {message}", *rest, **more)

    return show_with_label


def tell(kind: str, message: object) -> None:
    """Write one line to standard error, without characters that would turn it around on a terminal."""
    print(f"{kind}: {visible(' '.join(str(message).split()))}", file=sys.stderr)


def _tell_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    tell("warning", message)
