"""``torch-gptff serve``: what its page offers are the options of commands, and its jobs are these commands."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.io import write
from pages import check_options

from torch_gptff.cli.serving import OFFERED, kinds, options_of, run
from torch_gptff.errors import JobError
from torch_gptff.serve.watch import Watch

KINDS = {kind.name: kind for kind in kinds()}
OTHER = {"number": 0.5, "integer": 7, "text": "2x1x1"}
"""Values that are no default."""


def value_of(setting: Any) -> Any:
    if setting.type == "flag":
        return not setting.default
    if setting.type == "choice":
        return setting.choices[-1]
    if setting.low is not None and setting.high is not None:
        return (setting.low + setting.high) // 2 if setting.high > 2 else (setting.low + setting.high) / 2
    return OTHER[setting.type]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_settings_are_options_that_the_command_takes(kind: Any) -> None:
    defaults = {setting.name: setting.default for setting in kind.settings}
    assert kind.arguments(defaults) == []
    others = {setting.name: value_of(setting) for setting in kind.settings}
    words = kind.arguments(others)
    assert len([word for word in words if word.startswith("--")]) == len(kind.settings)
    check_options(["torch-gptff", kind.name, "structure.cif", *words, *kind.outputs], "here")
    for setting in kind.settings:
        assert setting.label
        assert not setting.label.endswith(".")
        assert "[" not in setting.label
    json.dumps(kind.described(), allow_nan=False)


def test_values_become_words() -> None:
    assert KINDS["eos"].arguments({"low": 0.9, "relax_first": False}) == ["--from", "0.9", "--as-given"]
    assert KINDS["relax"].arguments({"fix_cell": True, "fmax": 0.01}) == ["--fmax", "0.01", "--fix-cell"]
    assert KINDS["md"].arguments({"ensemble": "npt", "steps": 50}) == ["--ensemble", "npt", "--steps", "50"]
    assert KINDS["md"].copies({"repeat": "2x3x1"}) == 6


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("relax", "fmax", -1),
        ("relax", "fmax", float("nan")),
        ("relax", "fmax", "0.1"),
        ("relax", "max_steps", 10**400),
        ("relax", "pressure", float("-inf")),
        ("relax", "fix_cell", 1),
        ("relax", "model", "other.safetensors"),
        ("relax", "out", "/elsewhere"),
        ("md", "ensemble", "nvx"),
        ("md", "repeat", "--model"),
        ("md", "repeat", "1" * 50),
        ("phonons", "min_length", 1000),
        ("eos", "points", 1e9),
        ("elastic", "max_strain", None),
    ],
)
def test_values_that_a_setting_cannot_have(kind: str, name: str, value: Any) -> None:
    with pytest.raises(JobError, match=name if name in ("model", "out") else "--"):
        KINDS[kind].arguments({name: value})


def test_repetitions_that_are_none() -> None:
    with pytest.raises(JobError, match="3x3x2"):
        KINDS["md"].copies({"repeat": "many"})


def test_options_have_the_bounds_and_names_of_their_command() -> None:
    from torch_gptff.cli.relax import relax

    options = options_of(relax)
    assert (options["optimizer"].choices, options["optimizer"].type) == (("LBFGS", "FIRE", "BFGS"), "choice")
    assert (options["pressure"].high, options["fmax"].low, options["out"].option) == (1000, 0, "--out")
    assert "files" not in options
    assert set(OFFERED) == {"predict", "relax", "eos", "elastic", "phonons", "md"}


def test_a_command_is_watched(checkpoint: Path, salt: Atoms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("structure.extxyz", salt)
    sent: list[dict[str, Any]] = []
    watch = Watch(sent.append)
    kind = KINDS["relax"]
    code = run(["relax", "structure.extxyz", "--max-steps", "2", "--model", str(checkpoint), *kind.outputs], watch)
    watch.flush()
    assert code in (0, 1)
    points = [point for each in sent if each["event"] == "told" for point in each["points"]]
    assert [point[0] for point in points] == [0, 1, 2]
    (result,) = json.loads(Path("result.json").read_text())["results"]
    assert points[-1][1] == pytest.approx(result["energy"] / len(salt), abs=1e-8)
    (found,) = [each for each in sent if each["event"] == "found"]
    assert found["rows"][0][0]["text"] == "structure.extxyz"
    code = run(["md", "structure.extxyz", "--steps", "20", "--model", str(checkpoint), "--out", "md.traj"], watch)
    watch.flush()
    assert code == 0
    last = [each for each in sent if each["event"] == "told"][-1]
    assert (last["share"], last["points"][-1][0]) == (1.0, 0.02)
    assert sent[-1]["event"] == "found" or any(each["event"] == "found" for each in sent[-3:])


def test_wrong_words_are_told_as_the_command_line_tells_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(JobError, match="fmax"):
        run(["relax", "structure.cif", "--fmax", "-1"], Watch(lambda message: None))


def test_a_port_that_is_taken(call, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvicorn", reason="the page is served by uvicorn")
    with socket.create_server(("127.0.0.1", 0)) as other:
        result = call("serve", "--port", other.getsockname()[1])
    assert result.exit_code == 1
    assert "take another --port" in result.stderr
    assert "warning" not in result.stderr


def test_a_host_that_others_reach_is_warned_of(call) -> None:
    pytest.importorskip("uvicorn", reason="the page is served by uvicorn")
    with socket.create_server(("0.0.0.0", 0)) as other:
        result = call("serve", "--host", "0.0.0.0", "--port", other.getsockname()[1])
    assert result.exit_code == 1
    assert "other machines can reach the page" in result.stderr


def test_the_server_loads_nothing_that_computes() -> None:
    """That is for the process that computes: the page is there at once, and small."""
    pytest.importorskip("uvicorn", reason="the page is served by uvicorn")
    code = """
import sys
from torch_gptff.cli.serving import kinds
from torch_gptff.serve import app, server
kinds()
print({"torch", "ase", "pymatgen"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
