"""Diffusion: random walks of known coefficients lie inside their error bars as often as these say."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ase import units
from ase.io.cube import read_cube_data
from scipy import stats

from torch_gptff.errors import DiffusionError
from torch_gptff.workflows import Diffusion, Estimate, Motion, diffusion, ion_density
from torch_gptff.workflows.diffusion.estimate import mean_of_blocks, ratio_of_blocks

TIMESTEP = 100.0  # fs
SEEDS = 200


def walk(
    seed: int,
    widths: tuple[float, ...] = (1.0, 1.0, 1.0),
    n_ions: int = 8,
    n_frames: int = 1000,
    charge: float = 1.0,
    side: float = 20.0,
) -> Motion:
    """Ions that jump at random, with these standard deviations of a step along x, y and z in Å."""
    steps = np.random.default_rng(seed).normal(size=(n_frames, n_ions, 3)) * np.resize(widths, 3)
    positions = np.cumsum(steps, axis=0)
    return motion_of(positions, charge, side)


def motion_of(positions: np.ndarray, charge: float = 1.0, side: float = 20.0) -> Motion:
    n_ions = positions.shape[1]
    return Motion(
        species="Li",
        positions=positions,
        dipole=charge * positions.sum(axis=1) if charge else None,
        charges={"Li": charge} if charge else {},
        counts={"Li": n_ions},
        cell=side * np.eye(3),
        is_crystal=True,
        timestep=TIMESTEP,
        origin="laboratory",
        temperature=None,
    )


def known_diffusivity(width: float = 1.0) -> float:
    """⟨Δx²⟩ = 2 D t, in cm²/s."""
    return width**2 / (2 * TIMESTEP * 1e-15) * 1e-16


@cache
def of_walks(dimensions: int = 3) -> list[Diffusion]:
    """The diffusion of walks of all seeds, along the first so many axes."""
    widths = (1.0,) * dimensions + (0.0,) * (3 - dimensions)
    return [diffusion(walk(seed, widths), 500.0) for seed in range(SEEDS)]


def covered(estimates: list[Estimate], truth: float) -> tuple[int, int]:
    """In how many 95 % intervals, and within how many standard errors, the truth lies."""
    inside = sum(each.low <= truth <= each.high for each in estimates)
    near = sum(abs(each.value - truth) <= each.standard_error for each in estimates)
    return inside, near


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_error_bars_of_random_walks_hold_the_truth_as_often_as_they_say(dimensions: int) -> None:
    """The 95 % intervals hold it in 95 % of walks, and one standard error of ten blocks in 66 % (Student's t)."""
    truth = known_diffusivity() * dimensions / 3
    found = of_walks(dimensions)
    inside, near = covered([each.diffusivity for each in found], truth)
    # what 200 walks may deviate from that by chance, in one test of a thousand
    assert inside / SEEDS > stats.binom.ppf(0.001, SEEDS, 0.93) / SEEDS
    assert inside / SEEDS < 1
    low, high = stats.binom.ppf([0.001, 0.999], SEEDS, stats.t.cdf(1, 9) - stats.t.cdf(-1, 9)) / SEEDS
    assert low < near / SEEDS < high
    values = np.array([each.diffusivity.value for each in found])
    bias = stats.ttest_1samp(values, truth)
    assert bias.pvalue > 1e-3
    # and the error that one walk tells is the scatter of many
    told = np.sqrt(np.mean([each.diffusivity.standard_error**2 for each in found]))
    assert told == pytest.approx(values.std(), rel=0.15)
    assert all(each.dimensionality == dimensions for each in found)
    assert sum(each.is_diffusive for each in found) >= SEEDS - 1


def test_collective_error_bars_hold_the_truth_as_well() -> None:
    """Ions that move independently: the collective coefficient is theirs, and the Haven ratio 1."""
    found = of_walks()
    n, volume = 8, (20e-10) ** 3
    siemens = n * units._e**2 * known_diffusivity() * 1e-4 / (volume * units._k * 500.0)
    truth = siemens * 10  # mS/cm
    for each in found:
        assert each.nernst_einstein_conductivity is not None
        assert each.conductivity is not None
    for estimates in ([each.nernst_einstein_conductivity for each in found], [each.conductivity for each in found]):
        inside, _ = covered(estimates, truth)
        assert inside / SEEDS > stats.binom.ppf(0.001, SEEDS, 0.93) / SEEDS
        assert np.mean([each.value for each in estimates]) == pytest.approx(truth, rel=0.03)
    ratios = [each.haven_ratio for each in found if each.haven_ratio is not None]
    assert len(ratios) > 0.95 * SEEDS
    inside, _ = covered(ratios, 1.0)
    assert inside / len(ratios) > 0.85
    assert np.median([each.value for each in ratios]) == pytest.approx(1, abs=0.1)


def test_ions_in_lockstep_conduct_as_many() -> None:
    """Eight ions that move as one: the conductivity is eight times that of Nernst and Einstein."""
    single = walk(0, n_ions=1, n_frames=4000)
    together = motion_of(np.repeat(single.positions, 8, axis=1))
    found = diffusion(together, 500.0)
    assert found.haven_ratio is not None
    assert found.haven_ratio.value == pytest.approx(1 / 8, rel=1e-6)
    assert found.conductivity.value == pytest.approx(8 * found.nernst_einstein_conductivity.value)


def test_the_tensor_and_its_axes() -> None:
    """Diffusion along two directions of a turned frame, four times as fast along one."""
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    flat = walk(5, (0.0, 1.0, 2.0), n_ions=200, n_frames=4000)
    found = diffusion(motion_of(flat.positions @ rotation.T), 500.0)
    for each, width in zip(found.principal_values, (0.0, 1.0, 2.0), strict=True):
        assert each.value == pytest.approx(known_diffusivity(width), rel=0.1, abs=1e-12)
    assert abs(found.principal_axes[2] @ rotation[:, 2]) == pytest.approx(1, abs=0.01)
    assert found.dimensionality == 2
    np.testing.assert_allclose(np.trace(found.tensor) / 3, found.diffusivity.value)
    np.testing.assert_allclose(found.msd_axes.sum(axis=1), found.msd)


def test_vibration_is_left_out() -> None:
    """A large offset of the mean square, from vibration about the walk, does not change the coefficient."""
    pure = walk(1, n_ions=40, n_frames=4000)
    noise = np.random.default_rng(9).normal(size=pure.positions.shape)
    found = diffusion(motion_of(pure.positions + 2 * noise), 500.0)
    assert found.diffusivity.low < known_diffusivity() < found.diffusivity.high
    assert found.msd[0] == pytest.approx(3 + 24, rel=0.05)
    assert found.exponent is not None
    assert found.exponent.value < 0.95


def test_vibration_alone_is_no_diffusion() -> None:
    noise = np.random.default_rng(2).normal(size=(2000, 8, 3))
    found = diffusion(motion_of(0.2 * noise), 500.0)
    assert not found.is_diffusive
    assert found.hops < 12
    (remark,) = (remark for remark in found.remarks if remark.startswith("Too little diffusion"))
    assert remark.endswith("run at least 2400 ps in place of 200 ps, or hotter.")
    # fewer than three jumps in the whole run
    assert found.upper_bound >= 3 * 2.5**2 / (6 * 8 * 199.9) * 1e-4 * (1 - 1e-9)
    assert found.upper_bound < known_diffusivity() / 100


def test_ions_at_rest_are_no_division_by_zero() -> None:
    found = diffusion(motion_of(np.zeros((500, 4, 3))), 500.0)
    assert found.diffusivity.value == 0
    assert not found.is_diffusive
    assert found.upper_bound > 0
    assert found.haven_ratio is None
    assert found.exponent is None


def test_caged_motion_is_told() -> None:
    """Ions bound by springs of long memory spread more slowly than t at the lags of the fit."""
    generator = np.random.default_rng(4)
    position, frames = np.zeros((50, 3)), []
    for _ in range(4000):
        position = 0.99 * position + generator.normal(size=position.shape)
        frames.append(position)
    found = diffusion(motion_of(np.array(frames)), 500.0, fit_range=(0.5, 10.0))
    assert found.exponent is not None
    assert found.exponent.high < 0.9
    assert not found.is_diffusive


def test_motion_to_and_fro_is_no_diffusion() -> None:
    """Ions in cages, fitted at lags shorter than these take to be felt: a slope that leads nowhere."""
    generator = np.random.default_rng(6)
    position, frames = np.zeros((50, 3)), []
    for _ in range(4000):
        position = 0.97 * position + generator.normal(size=position.shape)
        frames.append(position)
    found = diffusion(motion_of(np.array(frames)), 500.0, fit_range=(0.1, 0.5))
    assert found.diffusivity.low > 0
    assert found.hops > 12
    assert found.persistence is not None
    assert found.persistence < 0.1
    assert not found.is_diffusive
    assert any("they move to and fro" in remark for remark in found.remarks)
    assert any("still vibrate" in remark for remark in found.remarks)


def test_ions_that_diffuse_persist() -> None:
    found = [each.persistence for each in of_walks()]
    assert np.mean(found) == pytest.approx(1, abs=0.1)


def test_temperatures() -> None:
    motion = walk(0)
    with pytest.raises(DiffusionError, match="has no velocities: give the temperature"):
        diffusion(motion)
    with pytest.raises(DiffusionError, match="-5 K makes no sense"):
        diffusion(motion, -5)
    warm = Motion(**{**motion.__dict__, "temperature": 612.0})
    assert diffusion(warm).temperature == 612.0
    assert diffusion(warm, 600.0).remarks == ()
    assert diffusion(warm, 300.0).remarks == ("The atoms move as at 612 K, and 300 K is given.",)


def test_what_is_too_short() -> None:
    with pytest.raises(DiffusionError, match="of 3 blocks or more, not of 2"):
        diffusion(walk(0), 500.0, n_blocks=2)
    with pytest.raises(
        DiffusionError, match="40 frames are too few for 10 blocks: run at least 100 ps for 10 blocks \\(30 ps"
    ):
        diffusion(walk(0, n_frames=40), 500.0)
    with pytest.raises(
        DiffusionError, match=r"a block .* is 9.9 ps long, and lags up to 50 ps .* run at least 501 ps for 10"
    ):
        diffusion(walk(0), 500.0, fit_range=(1, 50))
    with pytest.raises(DiffusionError, match="makes no sense"):
        diffusion(walk(0), 500.0, fit_range=(5, 5))
    isolated = Motion(**{**walk(0).__dict__, "is_crystal": False})
    with pytest.raises(DiffusionError, match="a conductivity is per volume"):
        diffusion(isolated, 500.0)


def test_a_record_comes_back(tmp_path: Path) -> None:
    found = diffusion(walk(0), 500.0)
    found.save(tmp_path / "li.json")
    again = Diffusion.load(tmp_path / "li.json")
    assert again.to_dict() == found.to_dict()
    assert again.diffusivity == found.diffusivity
    without = diffusion(walk(0, charge=0.0), 500.0)
    without.save(tmp_path / "neutral.json")
    assert Diffusion.load(tmp_path / "neutral.json").conductivity is None


def test_estimates() -> None:
    estimate = mean_of_blocks([1.0, 2.0, 3.0])
    assert (estimate.value, estimate.standard_error) == (2.0, pytest.approx(1 / np.sqrt(3)))
    assert estimate.high - estimate.value == pytest.approx(4.302653 / np.sqrt(3))  # t of 2 degrees of freedom
    turned = estimate * -2
    assert (turned.value, turned.low, turned.high) == (-4.0, -2 * estimate.high, -2 * estimate.low)
    ratio = ratio_of_blocks([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert (ratio.value, ratio.standard_error) == (pytest.approx(2.0), pytest.approx(0.0))


def test_density_counts_every_ion(tmp_path: Path) -> None:
    found = ion_density(walk(0), spacing=1.0)
    voxel = 20.0**3 / found.density.size
    assert found.density.sum() * voxel == pytest.approx(8)
    for axis in range(3):
        assert found.projected(axis).mean() * 400 == pytest.approx(8)
    spots = np.tile([0.5, 10.5, -0.5], (10, 1, 1))
    resting = ion_density(motion_of(spots), spacing=1.0)
    assert np.argwhere(resting.density).tolist() == [[0, 10, 19]]
    resting.write_cube(tmp_path / "li.cube")
    data, atoms = read_cube_data(str(tmp_path / "li.cube"))
    np.testing.assert_allclose(data, resting.density, rtol=1e-5)
    np.testing.assert_allclose(atoms.cell, resting.cell, rtol=1e-5)
    with pytest.raises(DiffusionError, match="positive spacing"):
        ion_density(walk(0), spacing=0)
