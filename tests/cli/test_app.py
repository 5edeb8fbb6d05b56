"""The command line as a whole: help, version, errors and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write

import torch_gptff
from torch_gptff.errors import CheckpointError
from torch_gptff.graph import checks


def test_help_imports_nothing_that_takes_long() -> None:
    commands = [["--help"], ["--version"], ["relax", "--help"], ["predict", "-h"], ["serve", "-h"], ["info"]]
    code = (
        "import sys\nfrom torch_gptff.cli import app\n"
        "assert not any(name.split('.')[0] == 'rich' for name in sys.modules)\n"
        "heavy = {'torch', 'numpy', 'ase', 'pymatgen', 'scipy', 'torch_geometric'}\n"
        f"for arguments in {commands!r}:\n"
        "    try:\n        app(arguments)\n    except SystemExit:\n        pass\n"
        "    if found := heavy & {name.split('.')[0] for name in sys.modules}:\n"
        "        sys.exit(f'{arguments} imported {found}')"
    )
    environment = {"PYTHONPATH": str(Path(torch_gptff.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr


def test_python_m_torch_gptff() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "torch_gptff", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"torch-gptff {torch_gptff.__version__}\n"


def test_help_names_every_command(call) -> None:
    result = call("--help")
    assert result.exit_code == 0
    for command in ("predict", "relax", "convert", "info"):
        assert command in result.stdout
        assert call(command, "--help").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["predict"],
        ["nonsense"],
        ["relax", "a.cif", "--optimizer", "newton"],
        ["relax", "a.cif", "--fmax", "-1"],
        ["relax", "a.cif", "--max-steps", "many"],
        ["predict", "a.cif", "--dtype", "float16"],
        ["predict", "a.cif", "--device", "abacus"],
        ["predict", "a.cif", "--extxyz", "out.cif"],
        ["convert", "a.pth", "b.pth"],
    ],
)
def test_wrong_use_exits_with_2(call, arguments: list[str]) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_the_model_in_the_box_is_the_one_where_none_is_named(
    call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The bulk modulus and the lattice of silicon are those of silicon, and not of a model with random weights."""
    monkeypatch.delenv("TORCH_GPTFF_MODEL")
    write(tmp_path / "si.cif", bulk("Si"))
    result = call("eos", tmp_path / "si.cif", "--json", tmp_path / "eos.json")
    assert result.exit_code == 0, result.output
    (found,) = json.loads((tmp_path / "eos.json").read_text())["results"]
    fit = found["fits"][0]
    assert fit["volume"] == pytest.approx(40.9, rel=0.05)  # Å³, PBE
    assert fit["bulk_modulus"] == pytest.approx(88.5, rel=0.3)  # GPa, PBE
    assert call("info").exit_code == 2


@pytest.mark.parametrize("command", [["predict", "a.cif", "-m"], ["relax", "a.cif", "-m"], ["info"]])
def test_an_error_is_one_line(call, tmp_path: Path, command: list[str]) -> None:
    result = call(*command, tmp_path / "nowhere.safetensors")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: no model ")
    assert result.stderr.count("\n") == 1
    (tmp_path / "cut.safetensors").write_bytes(b"nothing")
    result = call(*command, tmp_path / "cut.safetensors")
    assert result.exit_code == 1
    assert "cut.safetensors" in result.stderr


def test_debug_shows_where_an_error_comes_from(call, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError):
        call("--debug", "info", "nowhere")
    with pytest.raises(FileNotFoundError):
        call("--debug", "predict", "nowhere.cif")
    monkeypatch.setenv("TORCH_GPTFF_DEBUG", "1")
    with pytest.raises(CheckpointError):
        call("info", "nowhere")


def test_a_mistake_of_ours_is_not_hidden(call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(checks, "element_ranges", broken)
    with pytest.raises(ZeroDivisionError):
        call("info")


def test_warnings_are_one_line_too(call, monkeypatch: pytest.MonkeyPatch) -> None:
    def careful(*_: object) -> str:
        warnings.warn("take\ncare", UserWarning, stacklevel=1)
        return "H"

    monkeypatch.setattr(checks, "element_ranges", careful)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result = call("info")
    assert result.stderr == "warning: take care\n"


def test_what_is_not_installed_is_named_with_its_extra(call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("epochs: 1")
    monkeypatch.setitem(sys.modules, "yaml", None)
    result = call("train", tmp_path / "config.yaml", "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert result.stderr == "error: yaml is not installed: pip install 'torch-gptff[train]'\n"
