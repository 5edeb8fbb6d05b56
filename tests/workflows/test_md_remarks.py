"""What is told of a run of molecular dynamics whose numbers are not what they seem."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from torch_gptff.workflows import MolecularDynamicsSettings, molecular_dynamics
from torch_gptff.workflows.md.remarks import foreseen, found

GOOD = MolecularDynamicsSettings(steps=2000, temperature=1000)


@pytest.fixture
def copper() -> Atoms:
    return bulk("Cu", cubic=True) * (2, 2, 2)


def test_a_crystal_at_rest_in_nve_settles_at_half_and_that_is_told(copper: Atoms, tmp_path: Path) -> None:
    settings = replace(GOOD, ensemble="nve", steps=300, timestep=3)
    (told,) = foreseen(copper, settings)
    assert "expect about 500 K" in told
    run = molecular_dynamics(copper, EMT(), settings, trajectory=tmp_path / "md.traj")
    assert run.averages["temperature"].mean == pytest.approx(500, rel=0.2)
    (told,) = run.remarks
    mean = run.averages["temperature"].mean
    assert told.startswith(f"the mean temperature of the second half is {mean:.0f} K, and 1000 K were asked for: nve")
    moving = copper.copy()
    moving.set_momenta(np.ones((32, 3)))
    assert foreseen(moving, settings) == []


def test_a_run_that_is_long_enough_has_no_remark(copper: Atoms) -> None:
    assert foreseen(copper, GOOD) == []
    assert found(GOOD, np.full(100, 1010.0), 32) == []
    assert found(GOOD, np.full(100, 800.0), 4) == []  # four atoms: chance explains it


def test_one_atom_too_few_steps_and_fast_ramps_are_told(copper: Atoms) -> None:
    (told,) = foreseen(bulk("Cu"), GOOD)
    assert "one atom moves with its periodic images" in told
    (told,) = foreseen(copper, replace(GOOD, steps=500))
    assert "500 fs are short beside a thermostat of 100 fs" in told
    assert "take 1000 steps or more" in told
    (told,) = foreseen(copper, replace(GOOD, steps=1000, temperature=300, final_temperature=1300))
    assert "the atoms lag behind by some 200 K; take 2000 steps or more" in told
    assert foreseen(copper, replace(GOOD, steps=2000, temperature=300, final_temperature=1300)) == []
    (told,) = found(GOOD, np.full(100, 700.0), 500)
    assert "700 K, and 1000 K were asked for: the thermostat has not brought the atoms there yet" in told


@pytest.mark.slow
def test_a_ramp_lags_by_what_is_told(copper: Atoms, tmp_path: Path) -> None:
    settings = MolecularDynamicsSettings(
        steps=400, timestep=5, temperature=300, final_temperature=1300, thermostat="berendsen", thermostat_time=400
    )
    (told,) = foreseen(copper, settings)
    lag = 2 * 1000 / 2000 * 400
    assert f"lag behind by some {lag:.0f} K" in told
    run = molecular_dynamics(copper * (2, 2, 1), EMT(), settings, trajectory=tmp_path / "md.traj")
    targets = 300 + 1000 * run.time / 2000
    behind = float((targets - run.temperature)[len(targets) // 2 :].mean())
    assert 0.5 * lag < behind < 1.5 * lag
