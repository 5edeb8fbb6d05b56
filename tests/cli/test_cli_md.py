"""``torch-gptff md``: files, tables, resumption, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.constraints import FixBondLengths
from ase.io import write
from terminal import run_on_a_terminal

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.cli.md import Axis, CellChange, Ensemble, Thermostat
from torch_gptff.io.structures import write_structures
from torch_gptff.workflows import (
    MolecularDynamicsRun,
    MolecularDynamicsSettings,
    TrajectoryFile,
    molecular_dynamics,
)
from torch_gptff.workflows.md.settings import AXES, CELLS, ENSEMBLES, THERMOSTATS

SHORT = ("--steps", 40, "--interval", 5, "--restart-interval", 10, "--dtype", "float64")


def test_choices_are_those_of_the_workflow() -> None:
    for choices, names in ((Ensemble, ENSEMBLES), (Thermostat, THERMOSTATS), (CellChange, CELLS), (Axis, AXES)):
        assert get_args(choices) == names


@pytest.fixture
def file(salt: Atoms, tmp_path: Path) -> Path:
    write_structures(tmp_path / "salt.extxyz", [salt])
    return tmp_path / "salt.extxyz"


def test_the_same_as_by_hand(call, checkpoint: Path, file: Path, salt: Atoms, tmp_path: Path) -> None:
    out, document, page = tmp_path / "md.traj", tmp_path / "md.json", tmp_path / "md.html"
    options = ("--ensemble", "npt", "--cell", "full", "--temperature", 500, "--repeat", "2x1x1", "--seed", 3)
    result = call("md", file, *options, *SHORT, "--out", out, "--json", document, "--report", page)
    assert result.exit_code == 0, result.output
    settings = MolecularDynamicsSettings(
        ensemble="npt", cell="full", temperature=500, seed=3, steps=40, interval=5, restart_interval=10
    )
    calculator = GPTFFCalculator(checkpoint, device="cpu", dtype=torch.float64)
    run = molecular_dynamics(salt * (2, 1, 1), calculator, settings, trajectory=tmp_path / "by-hand.traj")
    with TrajectoryFile(out) as ours, TrajectoryFile(tmp_path / "by-hand.traj") as theirs:
        for one, two in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one.positions, two.positions, atol=1e-6)  # the file rounds positions
    record = MolecularDynamicsRun.load(document)
    assert record.settings == settings
    assert record.averages["temperature"].mean == pytest.approx(run.averages["temperature"].mean, rel=1e-5)
    *told, mean, spread, drift = result.stdout.splitlines()
    assert told[0].startswith("step 0/40: ")
    assert re.search(r"step 20/40: \d+ K, -?[\d.]+ GPa, -?[\d.]+ eV/atom, [\d.e+]+ ns/day", result.stdout)
    assert mean.split()[:3] == ["mean,", "second", "half"]
    assert float(mean.split()[3]) == pytest.approx(record.averages["temperature"].mean, abs=0.06)
    assert spread.startswith("standard deviation")
    assert "meV/atom/ps" in drift
    assert page.read_text().count("<svg") == 6  # the atoms, and five figures


def test_resuming_gives_what_was_not_stopped(call, file: Path, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole.traj", tmp_path / "part.traj"
    assert call("md", file, *SHORT, "--out", whole).exit_code == 0
    assert call("md", file, *SHORT, "--out", part, "--steps", 20).exit_code == 0
    again = call("md", file, *SHORT, "--out", part)
    assert again.exit_code == 1
    assert "exists" in again.stderr
    assert call("md", file, *SHORT, "--out", part, "--resume").exit_code == 0
    with TrajectoryFile(whole) as ours, TrajectoryFile(part) as theirs:
        for one, two in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one.positions, two.positions)


def test_a_run_begins_where_its_equilibration_ends(call, file: Path, salt: Atoms, tmp_path: Path) -> None:
    out, table, poscar = tmp_path / "md.traj", tmp_path / "md.csv", tmp_path / "POSCAR"
    options = ("--ensemble", "nve", "--equilibrate", 0.012, "--csv", table, "--poscar", poscar, "--out", out)
    result = call("md", file, *SHORT, *options)
    assert result.exit_code == 0, result.output
    assert "equilibrating for 0.015 ps" in result.stdout  # up to a whole frame
    with TrajectoryFile(tmp_path / "md-equilibration.traj") as before, TrajectoryFile(out) as after:
        assert len(before) == 4
        assert len(after) == 9
        assert before.description["settings"]["ensemble"] == "nvt"
        np.testing.assert_allclose(after[0].positions, before[-1].positions, atol=1e-12)
        np.testing.assert_allclose(after[0].get_velocities(), before[-1].get_velocities(), atol=1e-12)
        assert np.abs(after[0].positions - salt.positions).max() > 1e-4
        numbers = after.thermodynamics()
        last = after[-1]
    rows = np.genfromtxt(table, delimiter=",", names=True, deletechars="")
    assert rows.dtype.names[:3] == ("step", "time_(fs)", "temperature_(K)")
    np.testing.assert_array_equal(rows["temperature_(K)"], numbers.temperature)
    total = numbers.potential_energy + numbers.kinetic_energy
    np.testing.assert_allclose(rows["total_energy_(eV)"], total, rtol=1e-15)
    found = ase.io.read(poscar, format="vasp")
    np.testing.assert_allclose(found.cell.array, last.cell.array, atol=1e-9)
    assert found.get_chemical_symbols() == last.get_chemical_symbols()
    again = call("md", file, *SHORT, *options, "--resume")
    assert again.exit_code == 0, again.output
    with TrajectoryFile(out) as frames:
        assert len(frames) == 9


def test_the_trajectory_has_a_name_of_its_own(call, file: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("md", file, *SHORT).exit_code == 0
    assert (tmp_path / "md-salt.traj").is_file()


def test_what_makes_no_sense_is_refused(call, file: Path, salt: Atoms, tmp_path: Path) -> None:
    result = call("md", file, "--timestep", 50, "--out", tmp_path / "md.traj")
    assert result.exit_code == 1
    assert "a timestep of 50 fs: timesteps are in femtoseconds" in result.stderr
    assert not (tmp_path / "md.traj").exists()
    for options, said in ((("--repeat", "2x2"), "three numbers"), (("--out", "md.xyz"), "end in .traj")):
        result = call("md", file, *SHORT, *options)
        assert result.exit_code == 2
        assert said in result.stderr.replace("\n", " ")
    write_structures(tmp_path / "two.extxyz", [salt, salt])
    result = call("md", tmp_path / "two.extxyz", *SHORT)
    assert result.exit_code == 1
    assert "has 2 structures: name one" in result.stderr


def test_a_mask_keeps_cell_vectors(call, file: Path, tmp_path: Path) -> None:
    cube = bulk("NaCl", "rocksalt", a=5.5, cubic=True)
    write(tmp_path / "cube.extxyz", cube)
    out, page = tmp_path / "md.traj", tmp_path / "md.html"
    options = ("--ensemble", "npt", "--cell", "anisotropic", "--mask", "0,0,1", "--pressure", 2)
    result = call("md", tmp_path / "cube.extxyz", *SHORT, *options, "--out", out, "--report", page)
    assert result.exit_code == 0, result.output
    with TrajectoryFile(out) as frames:
        moved = np.abs(frames[-1].cell.lengths() - cube.cell.lengths())
    assert moved[:2] == pytest.approx([0, 0], abs=1e-12)
    assert moved[2] > 1e-6
    assert "anisotropic, a and b kept" in page.read_text()
    assert "Lengths of the cell vectors" in page.read_text()
    isotropic = tmp_path / "isotropic.html"
    again = call("md", file, *SHORT, "--ensemble", "npt", "--out", out, "--overwrite", "--report", isotropic)
    assert again.exit_code == 0, again.output
    assert "Lengths of the cell vectors" not in isotropic.read_text()
    assert "Volume." in isotropic.read_text()
    result = call("md", file, *SHORT, *options, "--out", out, "--overwrite")
    assert result.exit_code == 1
    assert "c and a are at 60.0°: take cell='full'" in " ".join(result.stderr.split())
    result = call("md", file, *SHORT, "--mask", "c", "--out", out, "--overwrite")
    assert result.exit_code == 2
    assert "'c' is not a 1 or 0 for each of a, b and c" in " ".join(result.stderr.replace("│", " ").split())


def test_an_explosion_is_told_and_reported(call, file: Path, tmp_path: Path) -> None:
    # a random model has no repulsion, and atoms fall onto each other
    page, document = tmp_path / "md.html", tmp_path / "md.json"
    options = ("--temperature", 20000, "--timestep", 9, "--steps", 400, "--interval", 1, "--restart-interval", 1)
    result = call("md", file, *options, "--ensemble", "npt", "--thermostat-time", 50, "--barostat-time", 50,
                  "--out", tmp_path / "md.traj", "--json", document, "--report", page)  # fmt: skip
    assert result.exit_code == 1
    assert "error: the run exploded at step" in result.stderr
    assert "The run exploded at step" in page.read_text()
    assert json.loads(document.read_text())["steps"] == len(TrajectoryFile(tmp_path / "md.traj")) - 1


def test_a_terminal_sees_progress(call, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, shown = run_on_a_terminal(["md", "salt.extxyz", *map(str, SHORT)], 100, monkeypatch)
    assert code == 0
    assert re.search(r"step \d+/40: \d+ K, -?[\d.]+ GPa", shown)
    assert "0.04 ps of 2 atoms in 9 frames -> md-salt.traj" in shown


def test_constrained_molecules(call, tmp_path: Path) -> None:
    water = molecule("H2O")
    water.set_constraint(FixBondLengths([(0, 1), (0, 2)]))
    path = tmp_path / "water.traj"
    write(path, water)
    result = call("md", path, "--steps", 10, "--timestep", 0.5, "--out", tmp_path / "md.traj")
    assert result.exit_code == 0, result.output
    with TrajectoryFile(tmp_path / "md.traj") as frames:
        assert frames[-1].get_distance(0, 1) == pytest.approx(water.get_distance(0, 1), abs=1e-9)
    result = call("md", path, "--repeat", "2x1x1", "--out", tmp_path / "two.traj")
    assert result.exit_code == 1
    assert "has no cell vector along a direction that is repeated" in result.stderr
    water.set_cell([8, 8, 8])
    write(path, water)
    result = call("md", path, "--repeat", "2x1x1", "--out", tmp_path / "two.traj")
    assert result.exit_code == 1
    assert "(FixBondLengths) cannot be repeated with the cell" in result.stderr
