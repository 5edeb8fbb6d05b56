"""Options of commands that are nearly right, on files that are, with a model of random weights."""

from __future__ import annotations

import inspect
import shutil
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
import torch
import typer
from ase.build import bulk
from ase.io import write
from fuzzing import Fuzz
from hypothesis import strategies as st
from typer.testing import CliRunner

from torch_gptff import GPTFF, GPTFFConfig, Potential, save
from torch_gptff.cli import app
from torch_gptff.io.structures import read_structures

ROOT: Any = typer.main.get_command(app)  # of click, or of typer's own copy of it: told apart by what they have
COMMANDS = {name: command for name, command in ROOT.commands.items() if not hasattr(command, "commands")}
COMMANDS |= {f"dataset {name}": command for name, command in ROOT.commands["dataset"].commands.items()}

LONG = ("compare", "distill", "finetune", "train")
"""Commands that train for long by default: they are given no data that is right."""

SHORT = {
    "--max-steps": "2",
    "--steps": "2",
    "--points": "6",
    "--repeat": "1x1x1",
    "--min-length": "3",
    "--supercell": "1",
}
"""Options that say how much is computed, given last and so for good."""

NUMBERS = (
    "0",
    "-1",
    "1",
    "2",
    "3",
    "0.5",
    "1e-3",
    "nan",
    "inf",
    "-inf",
    "1e308",
    "1e-308",
    "1e400",
    "0x10",
    "1_0",
    "１",
)
WORDS = ("", " ", "abc", "a,b", "Na", "Cl", "Qq", "1x1", "1x1x1", "0x0x0", "1:2", "-", "--", "cpu", "cuda", "float64",
         "teacher", "Cu-Ka", "true", "é", "a" * 300)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Good files, bad files and a folder, beside each other; the model is that of every command."""
    torch.manual_seed(0)
    config = GPTFFConfig(channels=8, num_layers=1, num_radial=4, feedforward_channels=8, num_readouts=2)
    save(Potential(GPTFF(config)), tmp_path / "model.safetensors", {"purpose": "fuzzing"})
    salt = bulk("NaCl", "rocksalt", a=5.64)
    write(tmp_path / "salt.cif", salt)
    write(tmp_path / "frames.extxyz", [bulk("Cu"), bulk("Al")])
    (tmp_path / "empty.cif").write_bytes(b"")
    (tmp_path / "bytes").write_bytes(bytes(range(256)))
    (tmp_path / "config.yaml").write_text("data: {train: [missing.extxyz]}\nepochs: 1\n")
    (tmp_path / "results.json").write_text('{"results": 3}')
    (tmp_path / "directory").mkdir()
    monkeypatch.setenv("TORCH_GPTFF_MODEL", str(tmp_path / "model.safetensors"))
    monkeypatch.chdir(tmp_path)
    assert read_structures("salt.cif")
    return tmp_path


FILES = (
    "salt.cif", "frames.extxyz", "frames.extxyz@0", "frames.extxyz@9", "empty.cif", "bytes", "config.yaml",
    "results.json", "directory", "missing", "missing/missing.cif", "model.safetensors", ".", "", "gptff-universal",
    "@", "salt.cif@",
)  # fmt: skip
anything = st.sampled_from(NUMBERS + WORDS + FILES) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), max_size=6
)


def options_of(command: Any) -> list[Any]:
    return [p for p in command.params if p.param_type_name == "option" and p.name not in ("device", "devices")]


def types_of(command: Any) -> dict[str, tuple[Any, ...]]:
    """The types that each parameter of a command may have, by the annotations of its function."""
    annotations = get_type_hints(inspect.unwrap(command.callback))
    return {name: tuple(_members(annotation)) for name, annotation in annotations.items()}


def _members(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, UnionType, list, tuple):
        return [member for part in get_args(annotation) for member in _members(part)]
    return [annotation]


@st.composite
def calls(draw: st.DrawFn) -> list[str]:
    name = draw(st.sampled_from(sorted(COMMANDS)))
    options, types = options_of(COMMANDS[name]), types_of(COMMANDS[name])
    right = ("config.yaml", "missing") if name in LONG else ("salt.cif", "frames.extxyz")
    arguments = draw(st.lists(st.sampled_from(right) | st.sampled_from(right) | anything, max_size=3))
    for option in draw(st.lists(st.sampled_from(options), max_size=4)) if options else []:
        flag = draw(st.sampled_from([*option.opts, *option.secondary_opts]))
        values = value(types[option.name])
        arguments += [flag] if option.is_flag else [flag, *(draw(values) for _ in range(option.nargs))]
    for option in options:
        cap = [SHORT[flag] for flag in option.opts if flag in SHORT]
        if cap:
            arguments += [option.opts[0], *cap * option.nargs]
    return [*name.split(), *arguments]


def value(types: tuple[Any, ...]) -> st.SearchStrategy[str]:
    choices = [
        str(member.value) for each in types if isinstance(each, type) and issubclass(each, Enum) for member in each
    ]
    if choices:
        return st.sampled_from(choices) | st.sampled_from(choices) | anything
    return st.sampled_from(NUMBERS) | anything if int in types or float in types else anything


def test_commands(folder: Path, fuzz: Fuzz) -> None:
    kept = {path.name for path in folder.iterdir()}

    def use(arguments: list[str]) -> None:
        result = CliRunner().invoke(app, arguments)
        for path in set(folder.iterdir()):
            if path.name not in kept:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise AssertionError(f"{arguments} ended in {result.exception!r}") from result.exception
        assert result.exit_code in (0, 1, 2), arguments

    fuzz(calls(), use)
