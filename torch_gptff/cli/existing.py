"""Results that exist: no command replaces them unless it is told to, and no two write to one place at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import typer

from torch_gptff.errors import ExistingResultsError

Output = TypeVar("Output", Path, str, None)


def new_file(context: typer.Context, parameter: typer.CallbackParam, value: Output) -> Output:
    """The callback of an option that names a file to write: the file is kept for this process until its command ends.

    Raises:
        ExistingResultsError: there is such a file, and neither ``--overwrite`` nor ``--resume`` is given; or another
            process is writing it.
    """
    if value is not None and value != "-":
        option = parameter.opts[0] if parameter.opts[0].startswith("-") else "the file"
        require_new(context, Path(value), option)
        claim_file(context, Path(value))
    return value


def require_new(context: typer.Context, path: Path, option: str) -> None:
    """Refuse an output that is there already, unless it is to be replaced or gone on with.

    Raises:
        ExistingResultsError: says what can be done.
    """
    is_there = path.exists() and not (path.is_dir() and not any(path.iterdir()))
    if is_there and not (context.params.get("overwrite") or context.params.get("resume")):
        raise ExistingResultsError(f"{option} {path} is there already; {choices(context)}")


def choices(context: typer.Context) -> str:
    """What can be done about results that are there already, by the options of a command."""
    has = {parameter.name for parameter in context.command.params}
    said = {"overwrite": "--overwrite replaces it", "resume": "--resume goes on with it"}
    return ", ".join([text for name, text in said.items() if name in has] + ["or name another place"])


def claim_file(context: typer.Context, path: Path) -> None:
    """Keep other processes from writing a file until the command ends."""
    from torch_gptff.io.files import claimed

    context.with_resource(claimed(path))
