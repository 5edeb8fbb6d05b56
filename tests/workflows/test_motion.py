"""Unwrapping: what moves is found to move by just as much, across boundaries, with drift, in cells that change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from torch_gptff.errors import DiffusionError, TrajectoryError, UnreadableStructureError
from torch_gptff.workflows import TrajectoryWriter, diffusion, ion_motion, iterate_frames

CELL = np.array([[8.0, 0, 0], [2.0, 7.0, 0], [-1.0, 1.5, 9.0]])
SYMBOLS = ["Li"] * 4 + ["Cl"] * 4


@pytest.fixture
def walk() -> np.ndarray:
    """Lithium walks, chlorine vibrates, Å, ``[F, 8, 3]``."""
    generator = np.random.default_rng(0)
    start = generator.uniform(size=(8, 3)) @ CELL
    steps = 0.6 * generator.normal(size=(400, 4, 3))
    steps[0] = 0
    moved = np.cumsum(steps, axis=0)
    return start + np.concatenate([moved, 0.1 * generator.normal(size=moved.shape)], axis=1)


def frames(positions: np.ndarray, cells: np.ndarray | None = None, wrap: bool = False) -> Iterator[Atoms]:
    for k, each in enumerate(positions):
        atoms = Atoms(SYMBOLS, positions=each, cell=CELL if cells is None else cells[k], pbc=True)
        if wrap:
            atoms.wrap()
        yield atoms


def moves(positions: np.ndarray) -> np.ndarray:
    return positions - positions[0]


@pytest.mark.parametrize("wrap", [False, True])
def test_boundaries_leave_no_trace(walk: np.ndarray, wrap: bool) -> None:
    motion = ion_motion(frames(walk, wrap=wrap), "Li", timestep=10, origin="laboratory")
    np.testing.assert_allclose(moves(motion.positions), moves(walk[:, :4]), atol=1e-9)
    assert np.abs(moves(walk[:, :4])).max() > 9  # across more than a cell
    assert motion.counts == {"Cl": 4, "Li": 4}
    assert motion.duration == pytest.approx(3.99)
    assert motion.volume == pytest.approx(8 * 7 * 9)


def test_drift_is_taken_off(walk: np.ndarray) -> None:
    drift = np.linspace(0, 30, len(walk))[:, None, None] * np.array([1.0, -0.5, 0.2])
    still = ion_motion(frames(walk, wrap=True), "Li", timestep=10)
    drifting = ion_motion(frames(walk + drift, wrap=True), "Li", timestep=10)
    np.testing.assert_allclose(moves(drifting.positions), moves(still.positions), atol=1e-9)
    laboratory = ion_motion(frames(walk + drift, wrap=True), "Li", timestep=10, origin="laboratory")
    assert np.abs(moves(laboratory.positions) - moves(still.positions)).max() > 20


def test_what_is_at_rest(walk: np.ndarray) -> None:
    masses = Atoms(SYMBOLS).get_masses()
    center = (masses[:, None] * walk).sum(axis=1) / masses.sum()
    motion = ion_motion(frames(walk), "Li", timestep=10)
    np.testing.assert_allclose(moves(motion.positions), moves(walk[:, :4] - center[:, None]), atol=1e-9)
    framework = ion_motion(frames(walk), "Li", timestep=10, origin="framework")
    rest = walk[:, 4:].mean(axis=1)
    np.testing.assert_allclose(moves(framework.positions), moves(walk[:, :4] - rest[:, None]), atol=1e-9)
    np.testing.assert_allclose(framework.positions[0], walk[0, :4], atol=1e-9)
    lithium = (atoms[:4] for atoms in frames(walk))
    with pytest.raises(DiffusionError, match="all atoms are Li: there is no framework"):
        ion_motion(lithium, "Li", timestep=10, origin="framework")


def test_a_breathing_cell_moves_no_atom() -> None:
    """Atoms fixed in a cell that changes do not diffuse, though those on the boundary are written now on one side and
    now on the other."""
    generator = np.random.default_rng(1)
    fractions = np.array(
        [[0.0, 0.5, 0.999], [0.3, 0.0, 0.5], [0.5, 0.9999, 0.0], [0.7, 0.2, 0.4], *[[0.1, 0.6, 0.8]] * 4]
    )
    cells = CELL @ (np.eye(3) + 0.03 * generator.normal(size=(2000, 3, 3)))
    positions = (fractions + 1e-3 * generator.normal(size=(2000, 8, 3))) @ cells
    motion = ion_motion(frames(positions, cells, wrap=True), "Li", timestep=100)
    assert np.abs(moves(motion.positions)).max() < 0.1
    assert not diffusion(motion, 300).is_diffusive


@pytest.mark.parametrize("wrap", [False, True])
def test_diffusion_in_a_breathing_cell_is_that_of_the_walk(wrap: bool) -> None:
    """Steps of known size in a cell whose lengths fluctuate by a per cent, while images are far from the origin."""
    generator = np.random.default_rng(2)
    scales = 1 + 0.01 * np.sin(np.arange(3000) / 5) + 0.003 * generator.normal(size=3000)
    cells = scales[:, None, None] * CELL
    steps = np.concatenate([0.5 * generator.normal(size=(3000, 4, 3)), np.zeros((3000, 4, 3))], axis=1)
    fractions = np.cumsum(steps @ np.linalg.inv(CELL), axis=0)
    positions = fractions @ cells
    assert np.abs(fractions).max() > 3
    motion = ion_motion(frames(positions, cells, wrap=wrap), "Li", timestep=100, origin="framework")
    found = diffusion(motion, 300).diffusivity
    truth = 0.25 / (2 * 100e-15) * 1e-16
    assert found.low < truth < found.high
    assert found.standard_error < 0.15 * truth


def test_charges_add_up(walk: np.ndarray) -> None:
    motion = ion_motion(frames(walk, wrap=True), "Li", timestep=10, charges={"Li": 1, "Cl": -1}, origin="laboratory")
    expected = walk[:, :4].sum(axis=1) - walk[:, 4:].sum(axis=1)
    assert motion.dipole is not None
    np.testing.assert_allclose(moves(motion.dipole), moves(expected), atol=1e-8)
    assert ion_motion(frames(walk), "Li", timestep=10).dipole is None


def test_open_directions_are_not_wrapped(walk: np.ndarray) -> None:
    far = [Atoms("Li", positions=[[0, 0, 9.0 * k]], cell=[5, 5, 10], pbc=[True, True, False]) for k in range(3)]
    motion = ion_motion(far, "Li", timestep=10, origin="laboratory")
    np.testing.assert_allclose(motion.positions[:, 0, 2], [0, 9, 18])
    assert not motion.is_crystal


def test_species_that_are_not_there(walk: np.ndarray) -> None:
    with pytest.raises(DiffusionError, match="there is no Na in the trajectory; there are Cl, Li"):
        ion_motion(frames(walk), "Na", timestep=10)
    with pytest.raises(DiffusionError, match="there is no S in the trajectory"):
        ion_motion(frames(walk), "Li", timestep=10, charges={"S": -2})


def test_frames_that_do_not_belong_together(walk: np.ndarray) -> None:
    shorter = [next(frames(walk)), next(frames(walk))[:7]]
    with pytest.raises(TrajectoryError, match="frame 1 is of other atoms"):
        ion_motion(shorter, "Li", timestep=10)
    with pytest.raises(TrajectoryError, match="this has 1"):
        ion_motion([next(frames(walk))], "Li", timestep=10)
    walk[3, 2, 1] = np.nan
    with pytest.raises(TrajectoryError, match="frame 3 has positions that are not finite"):
        ion_motion(frames(walk), "Li", timestep=10)
    with pytest.raises(TrajectoryError, match="without a cell vector"):
        ion_motion([Atoms("Li", pbc=True)] * 2, "Li", timestep=10)


def test_frames_too_far_apart_are_told(walk: np.ndarray) -> None:
    with pytest.warns(UserWarning, match="too far apart in time"):
        ion_motion(frames(3 * walk, wrap=True), "Li", timestep=10)


def test_times(walk: np.ndarray) -> None:
    def timed(times: list[float]) -> list[Atoms]:
        found = list(frames(walk[: len(times)]))
        for atoms, time in zip(found, times, strict=True):
            atoms.info["time_fs"] = time
        return found

    even = timed([0, 20, 40, 60])
    assert ion_motion(even, "Li").timestep == 20
    assert ion_motion(even, "Li", timestep=20.01).timestep == 20
    with pytest.raises(DiffusionError, match="tell that they are 20 fs apart, and 10 fs is given"):
        ion_motion(even, "Li", timestep=10)
    with pytest.raises(DiffusionError, match="not equally spaced in time, but 10 to 20 fs apart"):
        ion_motion(timed([0, 20, 30, 50]), "Li")
    with pytest.raises(DiffusionError, match="frames do not tell their time"):
        ion_motion(frames(walk), "Li")
    with pytest.raises(DiffusionError, match="must be positive"):
        ion_motion(frames(walk), "Li", timestep=0)


def test_the_beginning_is_left_out(walk: np.ndarray) -> None:
    whole = ion_motion(frames(walk), "Li", timestep=10, origin="laboratory")
    part = ion_motion(frames(walk), "Li", timestep=10, origin="laboratory", skip=1.005)
    np.testing.assert_allclose(part.positions, whole.positions[101:])
    cells = np.repeat(CELL[None], len(walk), axis=0)
    cells[:101] *= 1.3
    fractions = walk @ np.linalg.inv(CELL)
    grown = ion_motion(frames(fractions @ cells, cells), "Li", timestep=10, origin="laboratory", skip=1.005)
    np.testing.assert_allclose(grown.cell, CELL)
    with pytest.raises(DiffusionError, match=r"leaving out the first 4 ps leaves 0 of 400 frames"):
        ion_motion(frames(walk), "Li", timestep=10, skip=4)
    with pytest.raises(DiffusionError, match="cannot be left out"):
        ion_motion(frames(walk), "Li", timestep=10, skip=-1)


def test_kinetic_temperature(walk: np.ndarray) -> None:
    found = list(frames(walk[:5]))
    for atoms in found:
        atoms.set_velocities(np.full((8, 3), 0.01))
    assert ion_motion(found, "Li", timestep=10).temperature == pytest.approx(found[0].get_temperature())
    assert ion_motion(frames(walk), "Li", timestep=10).temperature is None


def test_files_of_every_kind(walk: np.ndarray, tmp_path: Path) -> None:
    part = list(frames(walk[:50], wrap=True))
    ase.io.write(tmp_path / "walk.extxyz", part)
    ase.io.write(tmp_path / "walk.traj", part)
    with TrajectoryWriter(tmp_path / "md.traj", {}) as writer:
        for k, atoms in enumerate(part):
            writer.write(atoms, step=k, time_fs=10.0 * k)
    expected = ion_motion(part, "Li", timestep=10).positions
    for name, timestep in (("walk.extxyz", 10), ("walk.traj", 10), ("md.traj", None)):
        found = ion_motion(iterate_frames(tmp_path / name), "Li", timestep=timestep)
        np.testing.assert_allclose(found.positions, expected, atol=1e-6)
    assert len(list(iterate_frames(f"{tmp_path}/walk.extxyz@10:40:3"))) == 10
    assert len(list(iterate_frames(f"{tmp_path}/walk.traj@10:40:3"))) == 10


def test_a_file_cut_off_in_a_frame(walk: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "walk.extxyz"
    ase.io.write(path, list(frames(walk[:20])))
    path.write_text(path.read_text()[:-200])
    with pytest.warns(UserWarning, match="cut off or damaged after 19 frames"):
        assert len(list(iterate_frames(path))) == 19
    path.write_text("nothing")
    with pytest.raises(UnreadableStructureError, match="cannot read a trajectory"):
        list(iterate_frames(path))
    with pytest.raises(FileNotFoundError):
        list(iterate_frames(tmp_path / "nowhere.xyz"))
