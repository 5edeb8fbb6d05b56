"""``torch-gptff diffusion``: from trajectories of known coefficients to tables, files and messages."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from torch_gptff.workflows import DiffusionSeries

KELVINS = (500, 600, 800)
K = 8.617333262e-5


def known(kelvin: float) -> float:
    """cm²/s."""
    return 1e-2 * float(np.exp(-0.3 / (K * kelvin)))


def write_walk(path: Path, kelvin: float, n_frames: int = 400) -> None:
    """Four lithium ions that walk and four chloride ions that do not, 100 fs apart, wrapped into their cell."""
    generator = np.random.default_rng(int(kelvin))
    width = np.sqrt(2 * known(kelvin) * 1e16 * 100e-15)
    cell = np.diag([9.0, 10.0, 11.0])
    sites = generator.uniform(size=(8, 3)) @ cell
    walk = np.cumsum(width * generator.normal(size=(n_frames, 4, 3)), axis=0)
    frames = [
        Atoms("Li4Cl4", positions=sites + np.concatenate([moved, np.zeros((4, 3))]), cell=cell, pbc=True)
        for moved in walk
    ]
    for atoms in frames:
        atoms.wrap()
    ase.io.write(path, frames)


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("walks")
    paths = [folder / f"walk-{kelvin}.extxyz" for kelvin in KELVINS]
    for path, kelvin in zip(paths, KELVINS, strict=True):
        write_walk(path, kelvin)
    return paths


OPTIONS = ("--species", "Li", "--timestep", "100", "--rest", "framework")


def test_one_trajectory(call, walks: list[Path], tmp_path: Path) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    files = ("--json", out, "--report", page, "--density", tmp_path / "cubes")
    result = call("diffusion", walks[2], *OPTIONS, "-t", "800", "--charge", "Li=1", *files)
    assert result.exit_code == 0, result.output
    (run,) = DiffusionSeries.load(out).runs
    assert run.diffusivity.low < known(800) < run.diffusivity.high
    assert run.conductivity is not None
    row = result.stdout.splitlines()[-1].split()
    assert row[1] == "800"
    assert float(row[2]) == pytest.approx(run.diffusivity.value, rel=0.01)
    assert float(row[4]) == pytest.approx(run.conductivity.value, rel=0.01)
    assert row[-1] == "3"
    assert page.read_text().count("<svg") == 5  # the atoms, the displacements, and the density from three sides
    assert [path.name for path in (tmp_path / "cubes").iterdir()] == ["01-walk-800-Li.cube"]


def test_several_temperatures(call, walks: list[Path], tmp_path: Path) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    kelvins = [text for kelvin in KELVINS for text in ("-t", kelvin)]
    result = call("diffusion", *walks, *OPTIONS, *kelvins, "--json", out, "--report", page)
    assert result.exit_code == 0, result.output
    series = DiffusionSeries.load(out)
    assert series.labels == tuple(str(path) for path in walks)
    assert series.diffusivity_fit is not None
    energy = series.diffusivity_fit.lines[0].activation_energy
    assert energy.low < 0.3 < energy.high
    assert f"D: activation energy {energy.value:.3f}" in result.stdout
    assert series.conductivity_fit is None
    assert "activation energy" in page.read_text()


def test_too_little_diffusion_is_said(call, tmp_path: Path) -> None:
    write_walk(tmp_path / "cold.extxyz", 250.0)
    page = tmp_path / "cold.html"
    result = call("diffusion", tmp_path / "cold.extxyz", *OPTIONS, "-t", "250", "--report", page)
    assert result.exit_code == 0
    assert "Too little diffusion for an estimate" in result.stdout
    row = result.stdout.splitlines()[-1]
    assert "<" in row
    assert "at most" in page.read_text()


@pytest.mark.filterwarnings("default:.*cut off or damaged")
def test_one_bad_file_in_a_list(call, walks: list[Path], tmp_path: Path) -> None:
    cut = tmp_path / "cut.extxyz"
    cut.write_text(walks[1].read_text()[:-100])
    (tmp_path / "bad.extxyz").write_text("nothing")
    kelvins = ("-t", "500", "-t", "600", "-t", "800")
    result = call("diffusion", walks[0], cut, tmp_path / "bad.extxyz", *OPTIONS, *kelvins)
    assert result.exit_code == 1
    assert "cut off or damaged after 399 frames" in result.stderr
    assert "bad.extxyz" in result.stderr
    assert "activation energy" in result.stdout  # of the two others


def test_bad_calls(call, walks: list[Path]) -> None:
    result = call("diffusion", walks[0], "-s", "Na", "--timestep", "100", "-t", "500")
    assert result.exit_code == 1
    assert "there is no Na in the trajectory; there are Cl, Li" in result.stderr
    assert str(walks[0]) in result.stderr
    result = call("diffusion", walks[0], "-s", "Li", "-t", "500")
    assert result.exit_code == 1
    assert "give the time between them" in result.stderr
    result = call("diffusion", walks[0], "-s", "Li", "--timestep", "100")
    assert result.exit_code == 1
    assert "give the temperature" in result.stderr
    assert call("diffusion", *walks, *OPTIONS, "-t", "500").exit_code == 2
    assert call("diffusion", walks[0], *OPTIONS, "-t", "500", "--charge", "Li").exit_code == 2
