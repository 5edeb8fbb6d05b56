"""Trajectories: frames come back exactly, and a file that was cut off anywhere gives its whole frames and says so."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from torch_gptff.errors import TrajectoryError
from torch_gptff.io.structures import write_structures
from torch_gptff.workflows.md.trajectory import STATE, TrajectoryFile, TrajectoryWriter, open_trajectory
from torch_gptff.workflows.md.ulm import find_frames

N_FRAMES = 50  # more than 42: the index of the file has been moved twice


def frame_of(number: int) -> Atoms:
    atoms = bulk("Cu", a=3.6) * (2, 1, 1)
    atoms.set_constraint(FixAtoms([0]))
    atoms.set_cell(atoms.cell * (1 + 0.001 * number), scale_atoms=True)
    atoms.positions[1] += [0.1 * number, 1 / 3, 100]  # far outside the cell
    atoms.set_momenta(np.random.default_rng(number).normal(size=(2, 3)), apply_constraint=False)
    return atoms


def write_frames(writer: TrajectoryWriter, numbers: range) -> None:
    calculator = EMT()
    for number in numbers:
        atoms = frame_of(number)
        atoms.calc = calculator
        atoms.get_stress()
        state = {"generator": [2**100, 0.1]} if number % 10 == 0 else None
        writer.write(atoms, step=10 * number, time_fs=0.1 * number, state=state)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with TrajectoryWriter(tmp_path / "folder" / "md.traj", {"ensemble": "nve"}) as writer:
        write_frames(writer, range(N_FRAMES))
        assert len(writer) == N_FRAMES
    return tmp_path / "folder" / "md.traj"


def test_frames_come_back_exactly(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frames = TrajectoryFile(path)
    assert len(frames) == N_FRAMES
    assert frames.damage is None
    assert frames.description == {"ensemble": "nve"}
    np.testing.assert_array_equal(frames.steps, 10 * np.arange(N_FRAMES))
    np.testing.assert_array_equal(frames.time_fs, 0.1 * np.arange(N_FRAMES))
    for number, atoms in enumerate(frames):
        expected = frame_of(number)
        assert atoms == expected
        np.testing.assert_array_equal(atoms.get_momenta(), expected.get_momenta())
        assert [constraint.todict() for constraint in atoms.constraints] == [FixAtoms([0]).todict()]
        expected.calc = EMT()
        assert atoms.get_potential_energy() == pytest.approx(expected.get_potential_energy(), abs=1e-12)
        np.testing.assert_allclose(atoms.get_stress(), expected.get_stress(), atol=1e-14)
        assert (STATE in atoms.info) == (number % 10 == 0)
    assert frames[10].info[STATE] == {"generator": [2**100, 0.1]}


def test_indices_and_slices(path: Path) -> None:
    frames = TrajectoryFile(path)
    assert frames[-1] == frame_of(N_FRAMES - 1)
    part = frames[5:40:7][1:]
    assert len(part) == 4
    assert [atoms.info["step"] for atoms in part] == part.steps.tolist() == [120, 190, 260, 330]
    with pytest.raises(IndexError):
        frames[N_FRAMES]
    assert len(open_trajectory(f"{path}@40:")) == 10
    assert isinstance(open_trajectory(path), TrajectoryFile)


def test_ase_reads_the_file(path: Path) -> None:
    frames = ase.io.read(path, index=":")
    assert [atoms.info["step"] for atoms in frames] == [10 * number for number in range(N_FRAMES)]
    assert frames[7] == frame_of(7)


def test_other_formats_are_read_whole(path: Path, tmp_path: Path) -> None:
    write_structures(tmp_path / "md.extxyz", [frame_of(0), frame_of(1)])
    assert len(open_trajectory(tmp_path / "md.extxyz")) == 2


def test_a_file_cut_off_anywhere_gives_its_whole_frames(path: Path, tmp_path: Path) -> None:
    whole, cut = path.read_bytes(), tmp_path / "cut.traj"
    ends = find_frames(path).offsets  # the last bytes of a frame are its description
    sizes = [*range(ends[0] + 2000, len(whole), 1009), len(whole) - 1, ends[-1], ends[-1] + 8]
    for size in sizes:
        cut.write_bytes(whole[:size])
        complete = sum(end < size for end in ends[1:])  # frame n is whole where frame n + 1 has begun to end
        with pytest.warns(UserWarning, match=r"cut\.traj: cut off after .* frames are lost"):
            frames = TrajectoryFile(cut)
        assert complete <= len(frames) <= complete + 1
        assert frames.damage is not None
        assert frames[-1] == frame_of(len(frames) - 1)
        assert frames[0] == frame_of(0)
        frames.close()


def test_zeros_at_the_end_are_no_frames(path: Path, tmp_path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3000:] = bytes(3000)  # what some file systems leave when the power fails
    (tmp_path / "cut.traj").write_bytes(data)
    with pytest.warns(UserWarning, match="frames are lost"):
        frames = TrajectoryFile(tmp_path / "cut.traj")
    assert 40 < len(frames) < N_FRAMES
    assert frames[-1] == frame_of(len(frames) - 1)


@pytest.mark.parametrize("keep", [0, 1, 2, 42, 43, N_FRAMES])
@pytest.mark.parametrize("cut", [False, True])
def test_a_file_is_continued_after_the_frames_to_keep(path: Path, keep: int, cut: bool) -> None:
    if cut:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 1)
        keep = min(keep, N_FRAMES - 1)
    with TrajectoryWriter(path, {"ensemble": "nve"}, keep=keep) as writer:
        write_frames(writer, range(keep, N_FRAMES + 20))
    frames = TrajectoryFile(path)
    assert frames.damage is None
    assert [atoms.info["step"] for atoms in frames] == [10 * number for number in range(N_FRAMES + 20)]
    assert all(atoms == frame_of(number) for number, atoms in enumerate(frames))


def test_an_unfinished_frame_is_told(path: Path) -> None:
    with path.open("ab") as file:
        file.write(bytes(100))
    with pytest.warns(UserWarning, match="the last 100 bytes are a frame that was not finished; 50 whole frames"):
        frames = TrajectoryFile(path)
    assert len(frames) == N_FRAMES


def test_what_is_no_trajectory_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        TrajectoryFile(tmp_path / "nowhere.traj")
    (tmp_path / "text.traj").write_text("not a trajectory, whatever its name may say of it")
    with pytest.raises(TrajectoryError, match="not a trajectory"):
        TrajectoryFile(tmp_path / "text.traj")
    (tmp_path / "empty.traj").touch()
    with pytest.raises(TrajectoryError, match="no whole frame"):
        TrajectoryFile(tmp_path / "empty.traj")
    with pytest.raises(TrajectoryError, match="exists"):
        TrajectoryWriter(path, {})
    with pytest.raises(TrajectoryError, match="50 whole frames, and 51"):
        TrajectoryWriter(path, {}, keep=51)
    ase.io.write(tmp_path / "foreign.traj", [frame_of(0)])
    with pytest.raises(TrajectoryError, match="does not tell its time_fs"):
        _ = TrajectoryFile(tmp_path / "foreign.traj").time_fs


WRITE = """
import sys
sys.path.insert(0, sys.argv[2])
from test_trajectory import TrajectoryWriter, write_frames
with TrajectoryWriter(sys.argv[1], {}) as writer:
    print("ready", flush=True)
    write_frames(writer, range(10**9))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no kill -9")
def test_a_killed_writer_leaves_whole_frames(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    writer = subprocess.Popen([sys.executable, "-c", WRITE, path, Path(__file__).parent], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    while not path.is_file() or path.stat().st_size < 200_000:
        time.sleep(0.01)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a frame may be unfinished, or not
        frames = TrajectoryFile(path)
    assert len(frames) > 42
    assert all(atoms == frame_of(number) for number, atoms in enumerate(frames))
    copy = shutil.copy(path, tmp_path / "copy.traj")
    with TrajectoryWriter(copy, {}, keep=len(frames) - 2) as again:
        write_frames(again, range(len(frames) - 2, len(frames)))
    assert TrajectoryFile(copy).steps.tolist() == frames.steps.tolist()
