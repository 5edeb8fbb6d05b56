"""Distances, displacements and vibrations along runs, against runs whose motion is known."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from torch_gptff.workflows.md.analysis import (
    analyze_motion,
    mean_squared_displacements,
    radial_distributions,
    vibrational_density,
)

RNG = np.random.default_rng(0)


def test_random_points_have_no_structure() -> None:
    frames = [Atoms("He200Ne100", RNG.uniform(0, 15, (300, 3)), cell=[15] * 3, pbc=True) for _ in range(20)]
    distances, found = radial_distributions(frames)
    assert set(found) == {"He–He", "He–Ne", "Ne–Ne"}
    for values in found.values():
        assert values[distances > 3].mean() == pytest.approx(1, abs=0.05)


def test_a_crystal_has_its_shells() -> None:
    distances, found = radial_distributions([bulk("Cu", a=3.6)])
    volume, shell = 3.6**3 / 4, 4 * np.pi * 0.05
    counts = found["Cu–Cu"] * shell * (distances**2 + 0.05**2 / 12) / volume
    first = np.abs(distances - 3.6 / np.sqrt(2)) < 0.1
    assert counts[first].sum() == pytest.approx(12)


def test_displacements_are_those_counted_pair_by_pair() -> None:
    steps = RNG.normal(size=(40, 6, 3))
    positions = np.cumsum(steps, axis=0)
    frames = [Atoms("He4Ne2", each) for each in positions]
    masses = frames[0].get_masses()
    positions = positions - (np.einsum("fnk,n->fk", positions, masses) / masses.sum())[:, None]
    lags, found = mean_squared_displacements(frames)
    for lag in (0, 1, 7, 20):
        moved = positions[lag:] - positions[: len(positions) - lag]
        assert lags[lag] == lag
        assert found["He"][lag] == pytest.approx((moved[:, :4] ** 2).sum(axis=2).mean(), abs=1e-9)


def test_an_oscillator_vibrates_at_its_frequency() -> None:
    interval, frequency = 0.005, 7.0  # ps, THz
    frames = []
    for k in range(800):
        atoms = Atoms("HeHe", [[0, 0, 0], [2, 0, 0]])
        speed = np.cos(2 * np.pi * frequency * k * interval)
        atoms.set_velocities([[speed, 0, 0], [-speed, 0, 0]])
        frames.append(atoms)
    frequencies, found = vibrational_density(frames, interval)
    assert frequencies[np.argmax(found["He"])] == pytest.approx(frequency, abs=0.3)
    assert np.trapezoid(found["He"], frequencies) == pytest.approx(1)
    assert vibrational_density(frames[:10], interval)[0].size == 0
    assert analyze_motion(frames, interval).highest_frequency == pytest.approx(100)
