"""How errors and warnings reach whoever sits at the terminal: one line on standard error, and an exit code.

Exit codes: 0 all is well; 1 something failed, or did not converge; 2 the command was called wrongly.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from torch_gptff.errors import GPTFFError

EXTRAS = {
    "lightning": "train",
    "yaml": "train",
    "lmdb": "lmdb",
    "phonopy": "phonons",
    "pyscal3": "diffraction",
}
"""The extra of this package that a module comes with."""


class ReportingGroup(TyperGroup):
    """Commands whose errors are told in one line, and shown with their origin under ``--debug``."""

    def invoke(self, ctx: Any) -> Any:
        with warnings.catch_warnings(), _telling_logs():
            warnings.showwarning = _tell_warning
            warnings.filterwarnings("ignore", ".torch.jit.*deprecated", FutureWarning)  # of torch_geometric to torch
            try:
                return super().invoke(ctx)
            except (GPTFFError, OSError) as error:
                if ctx.params["debug"] or isinstance(error, BrokenPipeError):
                    raise
                tell("error", error)
                raise typer.Exit(1) from error
            except ModuleNotFoundError as error:
                if ctx.params["debug"] or error.name not in EXTRAS:
                    raise
                tell("error", f"{error.name} is not installed: pip install 'torch-gptff[{EXTRAS[error.name]}]'")
                raise typer.Exit(1) from error


class Failures(list[dict[str, str]]):
    """What failed among many: each is told at once, and the others go on.

    Args:
        context: of the running command
    """

    def __init__(self, context: typer.Context) -> None:
        super().__init__()
        self._debug = context.find_root().params["debug"]

    @contextmanager
    def alone(self, label: str) -> Iterator[None]:
        """Let what happens to ``label`` in this block fail by itself."""
        try:
            yield
        except (GPTFFError, OSError) as error:
            if self._debug:
                raise
            self.append({"file": label, "error": str(error)})
            tell("error", error if label in str(error) else f"{label}: {error}")


class _Teller(logging.Handler):
    """Writes what the package logs to standard error; of several processes that train together, only the first."""

    def emit(self, record: logging.LogRecord) -> None:
        if os.environ.get("LOCAL_RANK", "0") == "0":
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
    """Tell for the rest of the command what is no warning, too, such as the keys that labels are read from."""
    logging.getLogger("torch_gptff").setLevel(logging.INFO)


def tell(kind: str, message: object) -> None:
    """Write one line to standard error."""
    print(f"{kind}: {' '.join(str(message).split())}", file=sys.stderr)


def _tell_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    tell("warning", message)
