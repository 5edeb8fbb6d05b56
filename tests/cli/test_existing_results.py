"""Results that exist are replaced by no command that is not told to, and two commands do not write to one place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read, write

import torch_gptff
from torch_gptff.io.files import claimed

WRITING = {
    "predict --json": ["predict", "a.cif", "--json", "{}"],
    "predict --extxyz": ["predict", "a.cif", "--extxyz", "{}.xyz"],
    "relax --json": ["relax", "a.cif", "--json", "{}"],
    "relax --report": ["relax", "a.cif", "--report", "{}"],
    "eos --json": ["eos", "a.cif", "--json", "{}"],
    "eos --report": ["eos", "a.cif", "--report", "{}"],
    "eos-benchmark --json": ["eos-benchmark", "folder", "--json", "{}"],
    "elastic --json": ["elastic", "a.cif", "--json", "{}"],
    "phonons --json": ["phonons", "a.cif", "--json", "{}"],
    "qha --json": ["qha", "a.cif", "--json", "{}"],
    "kappa --json": ["kappa", "a.cif", "--json", "{}"],
    "vacancy --json": ["vacancy", "a.cif", "--json", "{}"],
    "surface --json": ["surface", "a.cif", "--json", "{}"],
    "neb --json": ["neb", "a.cif", "b.cif", "--json", "{}"],
    "rank --json": ["rank", "a.cif", "--json", "{}"],
    "hull --json": ["hull", "a.cif", "--json", "{}"],
    "md --json": ["md", "a.cif", "--json", "{}"],
    "md --report": ["md", "a.cif", "--report", "{}"],
    "diffusion --json": ["diffusion", "a.traj", "--species", "Li", "--json", "{}"],
    "diffusion --density": ["diffusion", "a.traj", "--species", "Li", "--density", "{}"],
    "diffraction --json": ["diffraction", "a.traj", "--json", "{}"],
    "evaluate --json": ["evaluate", "model", "a.extxyz", "--json", "{}"],
    "evaluate --arrays": ["evaluate", "model", "a.extxyz", "--arrays", "{}.npz"],
    "evaluate --report": ["evaluate", "model", "a.extxyz", "--report", "{}.html"],
    "dataset inspect --json": ["dataset", "inspect", "a.extxyz", "--json", "{}"],
    "dataset convert --out": ["dataset", "convert", "a.extxyz", "--out", "{}"],
    "dataset split --out": ["dataset", "split", "a.extxyz", "--out", "{}"],
    "convert": ["convert", "a.pth", "{}.safetensors"],
}


@pytest.mark.parametrize("command", WRITING)
def test_what_is_there_is_not_replaced(command: str, call, tmp_path: Path) -> None:
    arguments = [argument.format(tmp_path / "there") for argument in WRITING[command]]
    (file,) = (Path(argument) for argument in arguments if str(tmp_path) in argument)
    file.write_text("dear results")
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert f"{file} is there already; --overwrite replaces it" in result.stderr
    commands = {"predict", "relax", "eos", "eos-benchmark", "elastic", "phonons", "vacancy", "hull", "md"}
    commands |= {"qha", "kappa", "surface", "neb", "rank"}
    goes_on = command.split()[0] in commands
    assert ("--resume goes on with it" in result.stderr) == goes_on
    assert file.read_text() == "dear results"
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("command", WRITING)
def test_what_another_process_writes_is_left_alone(command: str, call, tmp_path: Path) -> None:
    arguments = [argument.format(tmp_path / "there") for argument in WRITING[command]]
    (file,) = (Path(argument) for argument in arguments if str(tmp_path) in argument)
    with claimed(file):
        result = call(*arguments)
    assert result.exit_code == 2
    assert f"another process is writing to {file}" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture
def salts(tmp_path: Path, salt: Atoms) -> list[Path]:
    """Two crystals."""
    files = [tmp_path / "one.extxyz", tmp_path / "two.extxyz"]
    for number, file in enumerate(files):
        atoms = salt.copy()
        atoms.rattle(0.05, seed=number)
        write(file, atoms)
    return files


def test_overwriting(call, salts: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert call("predict", salts[0], "--json", out).exit_code == 0
    assert call("predict", salts[1], "--json", out).exit_code == 2
    assert json.loads(out.read_text())["predictions"][0]["file"] == str(salts[0])
    assert call("predict", salts[1], "--json", out, "--overwrite").exit_code == 0
    assert json.loads(out.read_text())["predictions"][0]["file"] == str(salts[1])
    assert call("predict", salts[1], "--json", "-").exit_code == 0

    run = tmp_path / "md.traj"
    settings = ("--steps", "4", "--interval", "2", "--out", run)
    assert call("md", salts[0], *settings).exit_code == 0
    first = run.read_bytes()
    assert call("md", salts[1], *settings).exit_code == 1
    assert run.read_bytes() == first
    assert call("md", salts[1], *settings, "--overwrite").exit_code == 0
    assert len(read(run, ":")) == 3
    assert run.read_bytes() != first
    assert call("md", f"{run}@-1", *settings, "--overwrite").exit_code == 2  # its own input
    assert len(read(run, ":")) == 3


LOOSE = ("--fmax", "1e9", "--smax", "1e9")


@pytest.mark.parametrize("batch", [(), ("--batch",)])
def test_relaxed_structures_are_not_replaced(batch: tuple[str, ...], call, salts: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert call("relax", salts[0], "--out", out, *LOOSE, *batch).exit_code == 0
    (out / "one.extxyz").write_text("edited by hand")
    (out / "one-notes.txt").write_text("kept")
    result = call("relax", *salts, "--out", out, *LOOSE, *batch)
    assert result.exit_code == 2
    assert "one.cif is there already; --overwrite replaces it, --resume goes on with it" in result.stderr
    assert not (out / "two.extxyz").exists()
    assert call("relax", salts[1], "--out", out, *LOOSE, *batch).exit_code == 0  # other names
    assert (out / "one.extxyz").read_text() == "edited by hand"
    assert call("relax", *salts, "--out", out, *LOOSE, *batch, "--overwrite").exit_code == 0
    assert len(read(out / "one.extxyz")) == 2
    assert (out / "one-notes.txt").read_text() == "kept"


@pytest.mark.parametrize("batch", [(), ("--batch", "--batch-atoms", "2")])
def test_relaxations_are_written_as_they_come_and_gone_on_with(
    batch: tuple[str, ...], call, salts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, results = tmp_path / "out", tmp_path / "out.json"
    relax_module = import_module("torch_gptff.cli.relax")

    written: list[int] = []
    write_final = relax_module.write_final

    def and_be_killed(relaxation: Any, path: Path, poscar: bool) -> Any:
        written.append(len(json.loads(results.read_text())["results"]))
        if path.name == "two":
            raise KeyboardInterrupt
        return write_final(relaxation, path, poscar)

    monkeypatch.setattr(relax_module, "write_final", and_be_killed)
    monkeypatch.setattr("torch_gptff.cli.results.LEAST_PAUSE", 0)  # however fast the second structure follows the first
    arguments = ("relax", *salts, "--out", out, "--json", results, *LOOSE, *batch)
    stopped = call(*arguments)
    assert stopped.exit_code == 130
    assert stopped.stderr == "stopped: SIGINT; what was written is kept, and --resume goes on with it\n"
    assert written == [1, 2]
    before = json.loads(results.read_text())["results"]
    monkeypatch.undo()
    monkeypatch.setenv("TORCH_GPTFF_MODEL", json.loads(results.read_text())["settings"]["model"])
    assert call(*arguments).exit_code == 2
    assert not (out / "two.extxyz").exists()
    again = call(*arguments, "--resume")
    assert again.exit_code == 0, again.stderr
    assert json.loads(results.read_text())["results"] == before
    assert (out / "two.extxyz").exists()

    (out / "three.extxyz").write_text("of another run")
    write(tmp_path / "three.extxyz", read(salts[0]))
    more = call("relax", *salts, tmp_path / "three.extxyz", *arguments[3:], "--resume")
    assert more.exit_code != 0
    assert "is not of the run that goes on" in more.stderr
    assert (out / "three.extxyz").read_text() == "of another run"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_command_in_one_line(name: str, checkpoint: Path, tmp_path: Path) -> None:
    """With a trajectory that can be gone on with."""
    write(tmp_path / "cu.extxyz", bulk("NaCl", "rocksalt", a=5.6, cubic=True))
    number, run = getattr(signal, name), tmp_path / "md.traj"
    process = subprocess.Popen(
        [sys.executable, "-m", "torch_gptff", "md", tmp_path / "cu.extxyz", "--out", run, "--steps", "1000000"],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(torch_gptff.__file__).parents[1]),
            "TORCH_GPTFF_MODEL": str(checkpoint),
        },
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    while not run.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == 128 + number
    assert said == f"stopped: {name}; what was written is kept, and --resume goes on with it\n"
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["cu.extxyz", "md.traj"]
