"""A full disk ends a command with the name of the file, exit code 1, and nothing half written."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import ase.io.trajectory
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from torch_gptff.io.structures import write_structures
from torch_gptff.workflows import TrajectoryFile


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_dataset_split(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = []
    for number, symbol in enumerate(("Cu", "Ag", "Au", "Ni", "Pd")):
        atoms = bulk(symbol)
        atoms.rattle(0.02, seed=number)
        energy = EMT().get_potential_energy(atoms)
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
        frames.append(atoms)
    write(tmp_path / "frames.extxyz", frames)
    out = tmp_path / "split.json"
    arguments = ("dataset", "split", tmp_path / "frames.extxyz", "--by", "random", "--fractions", "0.6,0.4")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        result = call(*arguments, "--out", out)
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert str(out) in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["frames.extxyz"]
    assert call(*arguments, "--out", out).exit_code == 0


@pytest.mark.filterwarnings("ignore:.* bytes are a frame that was not finished")
def test_md(call, checkpoint: Path, salt: Atoms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames before stay, the one that did not fit is cut off, and the run goes on from there to the same end."""
    write_structures(tmp_path / "salt.extxyz", [salt])
    out, whole = tmp_path / "md.traj", tmp_path / "whole.traj"
    command = ("md", tmp_path / "salt.extxyz", "--model", checkpoint, "--dtype", "float64", "--temperature", 300)
    options = ("--steps", 20, "--interval", 2, "--restart-interval", 2)
    write_frame, written = ase.io.trajectory.TrajectoryWriter.write, []

    def write_until_full(writer: Any, *arguments: Any, **more: Any) -> None:
        if len(written) == 4:
            writer.backend.fd.write(b"half a frame")
            writer.backend.fd.flush()
            full()
        written.append(1)
        write_frame(writer, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(ase.io.trajectory.TrajectoryWriter, "write", write_until_full)
        result = call(*command, *options, "--out", out)
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert str(out) in result.stderr
    with TrajectoryFile(out) as frames:
        assert [atoms.info["step"] for atoms in frames] == [0, 2, 4, 6]
    resumed = call(*command, *options, "--out", out, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert call(*command, *options, "--out", whole).exit_code == 0
    with TrajectoryFile(out) as one, TrajectoryFile(whole) as other:
        assert len(one) == len(other) == 11
        np.testing.assert_array_equal(one[-1].positions, other[-1].positions)
