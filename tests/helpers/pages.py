"""Code blocks of Markdown pages: Python and commands are run in this process, options and settings are checked.

A block that cannot run stands behind a comment that says why, ``<!-- skip: next "downloads a checkpoint" -->``; its
commands are then held to the options that there are. Preparations that a reader needs not see are Python in a comment,
``<!--- invisible-code-block: python``.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import Any
from unittest import SkipTest

import typer
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser
from typer.testing import CliRunner

from torch_gptff.cli import app
from torch_gptff.training import TrainingConfig

REPOSITORY = Path(__file__).parents[2]
ENTRY: Any = typer.main.get_command(app)
FOREIGN = ("git", "grep", "mkdocs", "nox", "pip", "pre-commit", "pytest", "python", "python3", "ssh", ".ci/run")
"""Commands of others, which stand in blocks that are not run and are not looked at."""
LAUNCHERS = ("srun", "torchrun", "mpirun")
"""Commands of others that start one of this package's."""


def run_page(page: Path) -> dict[str, int]:
    """Run the blocks of a page in the current folder; return how many ran and how many were skipped.

    Raises:
        AssertionError: a command failed, or it or one of its options does not exist.
    """
    shell = CodeBlockParser(language="bash", evaluator=_run_shell)
    settings = CodeBlockParser(language="yaml", evaluator=_read_settings)
    sybil = Sybil(parsers=[PythonCodeBlockParser(), shell, settings, SkipParser()], path=str(page.parent))
    counts = {"run": 0, "skipped": 0}
    for example in sybil.parse(page).examples():
        is_code = isinstance(example.parsed, str)
        where = f"{page.name}, line {example.line}"
        if is_code and example.region.evaluator is _run_shell:
            for command in commands(example.parsed):
                check_options(command, where)
        try:
            example.evaluate()
        except SkipTest:
            counts["skipped"] += 1
        else:
            counts["run"] += is_code
    return counts


def commands(block: str) -> Iterator[list[str]]:
    """The commands of a shell block as words, without comments, variables before them and folders of environments."""
    for line in _logical_lines(block):
        for part in line.split("&&"):
            words = shlex.split(part, comments=True)
            while words and "=" in words[0]:
                words.pop(0)
            if words:
                yield [words[0].split("/bin/")[-1], *words[1:]]


def _logical_lines(block: str) -> Iterator[str]:
    """Lines, those that a backslash or an open quotation mark continues joined."""
    begun = ""
    for line in block.replace("\\\n", " ").splitlines():
        begun += line + "\n"
        try:
            shlex.split(begun, comments=True)
        except ValueError:  # a quotation that goes on
            continue
        yield begun
        begun = ""
    assert not begun, f"a quotation is not closed: {begun}"


def check_options(words: list[str], where: str) -> None:
    """Options of this package's commands and scripts exist, and take the values that are given."""
    if words[0] in LAUNCHERS:
        names = [word.replace("_", "-") for word in words]
        words = ["torch-gptff", *words[names.index("torch-gptff") + 1 :]] if "torch-gptff" in names else words
    program, *arguments = words
    if program == "torch-gptff":
        command: Any = ENTRY
        names = []
        while arguments and hasattr(command, "commands"):
            names.append(arguments.pop(0))
            assert names[-1] in command.commands, f"{where}: there is no command {' '.join(names)}"
            command = command.commands[names[-1]]
        try:
            command.make_context(" ".join(names), arguments)
        except Exception as error:  # of click, or of typer's own copy of it
            message = getattr(error, "message", str(error))
            assert "does not exist" in message, f"{where}: {' '.join(words)}: {message}"
    elif program == "python" and arguments[0].endswith(".py"):
        script = REPOSITORY / arguments[0]
        assert script.is_file(), f"{where}: there is no {arguments[0]}"
        known = "".join(path.read_text(encoding="utf-8") for path in script.parent.rglob("*.py"))
        for option in (word for word in arguments if word.startswith("--")):
            assert f'"{option.split("=")[0]}"' in known, f"{where}: {arguments[0]} has no option {option}"
    else:
        assert program in (*FOREIGN, *LAUNCHERS), f"{where}: what is {program}?"


def _run_shell(example: Example) -> None:
    """Run the commands of a block in this process, one after the other."""
    for words in commands(example.parsed):
        assert words[0] == "torch-gptff", f"line {example.line}: {words[0]} cannot be run here: say so with skip"
        arguments = [name for word in words[1:] for name in (sorted(glob(word)) or [word])]
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, f"line {example.line}: {shlex.join(words)}\n{result.output}"


def _read_settings(example: Example) -> None:
    """Read the settings of a training, whose names and types are checked."""
    file = Path("settings.yaml")
    file.write_text(example.parsed, encoding="utf-8")
    TrainingConfig.from_yaml(file)
