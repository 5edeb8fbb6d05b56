"""Jobs of ``torch-gptff serve``: commands of this command line, with the few of their options that matter most.

``python -m torch_gptff.cli.serving`` is the process that computes.
"""

from __future__ import annotations

import importlib
import inspect
import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo

from torch_gptff.errors import JobError
from torch_gptff.serve.kinds import Kind, Setting

if TYPE_CHECKING:
    from torch_gptff.serve.watch import Watch

WORKER = [sys.executable, "-m", "torch_gptff.cli.serving"]
"""Starts the process that computes."""


@dataclass(frozen=True)
class Offered:
    """A command that the page offers.

    Attributes:
        settings: names of the parameters that it asks for
        outputs: words of the command line that name the files to write
        most: largest numbers of settings that have no bound, or a wider one, in a terminal
        copies: how often settings repeat the structure
    """

    settings: tuple[str, ...]
    outputs: tuple[str, ...]
    most: Mapping[str, float]
    copies: Callable[[Mapping[str, Any]], int] = lambda values: 1


def _copies(values: Mapping[str, Any]) -> int:
    from torch_gptff.cli.md import repetitions

    try:
        return math.prod(repetitions(str(values.get("repeat", "1x1x1"))))
    except typer.BadParameter as error:
        raise JobError(str(error)) from error


_RESULTS = ("--json", "result.json", "--report", "report.html")

OFFERED: Mapping[str, Offered] = {
    "predict": Offered((), (*_RESULTS, "--extxyz", "result.extxyz"), {}),
    "relax": Offered(
        ("fmax", "fix_cell", "keep_symmetry", "pressure", "max_steps"), (*_RESULTS, "--out", "relaxed"), {}
    ),
    "eos": Offered(("low", "high", "points", "relax_first", "relax_positions"), _RESULTS, {"points": 101}),
    "elastic": Offered(("relax_first", "clamped", "max_strain"), _RESULTS, {}),
    "phonons": Offered(("relax_first", "min_length", "displacement"), _RESULTS, {"min_length": 30}),
    "md": Offered(
        ("ensemble", "temperature", "steps", "timestep", "repeat", "pressure"),
        (*_RESULTS, "--out", "result.traj"),
        {},
        _copies,
    ),
}
"""Commands that the page offers."""


def kinds() -> list[Kind]:
    """Kinds of jobs, whose settings are options of the commands, with their names, help, bounds and defaults."""
    found = []
    for name, offered in OFFERED.items():
        command = getattr(importlib.import_module(f"torch_gptff.cli.{name}"), name)
        options = options_of(command)
        settings = tuple(_bounded(options[each], offered.most.get(each)) for each in offered.settings)
        about = (command.__doc__ or "").partition("\n")[0]
        found.append(Kind(name, about, settings, offered.outputs, offered.copies))
    return found


def options_of(command: Callable[..., None]) -> dict[str, Setting]:
    """Options of a command as settings, by the names of its parameters.

    Args:
        command: function of a command, see :mod:`torch_gptff.cli`
    """
    hints = get_type_hints(command, include_extras=True)
    found = {}
    for name, parameter in inspect.signature(command).parameters.items():
        kind, *more = get_args(hints[name]) if get_origin(hints[name]) is Annotated else (None,)
        if more and isinstance(more[0], OptionInfo):
            found[name] = _setting(name, kind, parameter.default, more[0])
    return found


def _setting(name: str, kind: Any, default: Any, option: OptionInfo) -> Setting:
    names = (option.default, *(option.param_decls or ()))  # the first stands where a default would
    plain = name.replace("_", "-")
    on, _, off = next(
        (each for each in names if isinstance(each, str) and each.startswith("--")),
        f"--{plain}/--no-{plain}" if kind is bool else f"--{plain}",
    ).partition("/")
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    types = {bool: "flag", float: "number", int: "integer"}
    return Setting(
        name=name,
        label=_plain(option.help or "").rstrip("."),
        option=on,
        type="choice" if choices else types.get(kind, "text"),
        default=default,
        choices=choices,
        low=option.min,
        high=option.max,
        otherwise=off,
    )


def _bounded(setting: Setting, most: float | None) -> Setting:
    return setting if most is None else replace(setting, high=most)


def _plain(text: str) -> str:
    """Help without its markup."""
    return re.sub(r"\[/?bold\]", "", text)


def run(words: list[str], watch: Watch) -> int:
    """Run a command in this process, and return its exit code.

    Args:
        words: of the command line
        watch: who follows the command
    """
    from torch_gptff.cli import app

    try:
        code = app(words, prog_name="torch-gptff", standalone_mode=False, obj=watch)
    except SystemExit as error:
        code = error.code
    except Exception as error:
        if not hasattr(error, "format_message"):  # of click, or of typer's own copy of it
            raise
        raise JobError(error.format_message()) from error
    return code if isinstance(code, int) else 0


def main() -> None:
    """Be the process that computes."""
    from torch_gptff.serve.worker import work

    _prepare()
    work(run)


def _prepare() -> None:
    """Import what takes long, before the first job."""
    import torch_gptff.cli.each
    import torch_gptff.workflows.reports.relax  # noqa: F401


if __name__ == "__main__":
    main()
