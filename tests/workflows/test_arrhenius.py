"""Activation energies: known ones are found, inside their error bars, and two regimes only where there are two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from torch_gptff.errors import DiffusionError
from torch_gptff.workflows import ArrheniusFit, Estimate, fit_arrhenius
from torch_gptff.workflows.diffusion.estimate import in_powers, normal

K = 8.617333262e-5
HOT = np.array([600.0, 700, 800, 900, 1000, 1100, 1200])


def points(seed: int, kelvins: np.ndarray, logs: np.ndarray, spread: float) -> list[Estimate]:
    """Values about ``exp(logs)``, with errors of this size relative to them."""
    noise = np.random.default_rng(seed).normal(size=len(kelvins)) * spread
    return [normal(float(np.exp(log)), float(np.exp(log) * spread)) for log in logs + noise]


def line(kelvins: np.ndarray, energy: float, prefactor: float = 1e-3) -> np.ndarray:
    return np.log(prefactor) - energy / (K * kelvins)


def test_error_bars_of_activation_energies_hold_the_truth_as_often_as_they_say() -> None:
    fits = [fit_arrhenius(HOT, points(seed, HOT, line(HOT, 0.35), 0.1), regimes=1) for seed in range(300)]
    energies = [fit.lines[0].activation_energy for fit in fits]
    inside = sum(each.low <= 0.35 <= each.high for each in energies)
    low, high = stats.binom.ppf([0.001, 0.999], 300, [0.95, 0.985])  # errors are enlarged, and never made smaller
    assert low <= inside <= high
    at_room = [fit.at(300.0) for fit in fits]
    truth = float(np.exp(line(np.array([300.0]), 0.35))[0])
    inside = sum(each.low <= truth <= each.high for each in at_room)
    assert low <= inside <= high


def test_weights_follow_the_errors() -> None:
    exact = points(0, HOT, line(HOT, 0.35), 0.0)
    wrong = [normal(each.value, 1e-3 * each.value) for each in exact]
    wrong[0] = normal(100 * exact[0].value, 1e3 * exact[0].value)
    assert fit_arrhenius(HOT, wrong).lines[0].activation_energy.value == pytest.approx(0.35, abs=1e-3)


def test_the_error_is_that_of_the_formula() -> None:
    """Of two points: δE = √(s₁² + s₂²) / |1/kT₁ − 1/kT₂|."""
    kelvins = np.array([500.0, 1000.0])
    fit = fit_arrhenius(kelvins, points(0, kelvins, line(kelvins, 0.3), 0.1))
    expected = 0.1 * np.sqrt(2) / (1 / (K * 500) - 1 / (K * 1000))
    assert fit.lines[0].activation_energy.standard_error == pytest.approx(expected)
    assert fit.lines[0].reduced_chi_squared is None


def test_scatter_beyond_the_errors_enlarges_them() -> None:
    logs = line(HOT, 0.35) + 0.3 * np.array([1, -1, 1, -1, 1, -1, 1])
    fit = fit_arrhenius(HOT, points(0, HOT, logs, 1e-3), regimes=1)
    chi = fit.lines[0].reduced_chi_squared
    assert chi is not None
    assert chi > 1000
    assert fit.lines[0].activation_energy.standard_error > 0.02


def test_conductivities_are_multiplied_by_temperature() -> None:
    sigma = line(HOT, 0.35, 1e7) - np.log(HOT)
    fit = fit_arrhenius(HOT, points(0, HOT, sigma, 1e-9), "conductivity")
    assert fit.lines[0].activation_energy.value == pytest.approx(0.35, abs=1e-6)
    assert fit.at(300.0).value == pytest.approx(1e7 * np.exp(-0.35 / (K * 300)) / 300, rel=1e-6)


def test_two_regimes_and_where_they_meet() -> None:
    kelvins = np.array([300.0, 350, 400, 450, 500, 550, 600, 650, 700])
    low, high = line(kelvins, 0.5), line(kelvins, 0.25)
    crossing = 475.0
    high += line(np.array([crossing]), 0.5) - line(np.array([crossing]), 0.25)
    logs = np.where(kelvins < crossing, low, high)
    fits = [fit_arrhenius(kelvins, points(seed, kelvins, logs, 0.05)) for seed in range(100)]
    assert all(len(fit.lines) == 2 for fit in fits)
    for k, energy in enumerate((0.5, 0.25)):
        inside = sum(
            fit.lines[k].activation_energy.low <= energy <= fit.lines[k].activation_energy.high for fit in fits
        )
        assert inside >= 85
    found = [fit.crossing for fit in fits if fit.crossing is not None]
    assert len(found) == 100
    assert sum(each.low <= crossing <= each.high for each in found) >= 85
    fit = fits[0]
    assert fit.at(300.0).value == pytest.approx(np.exp(low[0]), rel=0.3)
    assert fit.at(700.0).value == pytest.approx(np.exp(high[-1]), rel=0.3)
    single = fit_arrhenius(kelvins, points(0, kelvins, logs, 0.05), regimes=1)
    assert len(single.lines) == 1


def test_one_regime_is_not_made_two() -> None:
    fits = [fit_arrhenius(HOT, points(seed, HOT, line(HOT, 0.35), 0.1)) for seed in range(200)]
    assert sum(len(fit.lines) == 2 for fit in fits) <= 4
    assert all(fit.evidence is not None for fit in fits)
    assert fit_arrhenius(HOT[:5], points(0, HOT[:5], line(HOT[:5], 0.35), 0.1)).evidence is None


def test_a_jump_has_no_crossing() -> None:
    """A transition of the first order: the same slope, and a jump."""
    logs = line(HOT, 0.35) + np.where(HOT > 850, 3.0, 0.0)
    fit = fit_arrhenius(HOT, points(0, HOT, logs, 0.02))
    assert len(fit.lines) == 2
    assert fit.crossing is None
    assert fit.at(840.0).value < fit.at(860.0).value / 5


def test_invalid_points_are_left_out_and_named() -> None:
    found: list[Estimate | None] = list(points(0, HOT, line(HOT, 0.35), 0.01))
    found[0] = None
    found[1] = normal(-1e-9, 1e-9)
    fit = fit_arrhenius(HOT[::-1], found[::-1])
    assert fit.left_out == (600.0, 700.0)
    assert fit.temperatures.tolist() == HOT[2:].tolist()
    assert fit.lines[0].activation_energy.value == pytest.approx(0.35, abs=0.05)


def test_too_few_points() -> None:
    one = points(0, HOT[:1], line(HOT[:1], 0.35), 0.1)
    with pytest.raises(DiffusionError, match="line needs 2 temperatures with a valid estimate; there is 1"):
        fit_arrhenius(HOT[:1], one)
    with pytest.raises(DiffusionError, match="there is 1"):
        fit_arrhenius([300.0, 300.0], one * 2)
    with pytest.raises(DiffusionError, match="two Arrhenius lines need 4"):
        fit_arrhenius(HOT[:3], points(0, HOT[:3], line(HOT[:3], 0.35), 0.1), regimes=2)
    with pytest.raises(DiffusionError, match="without an error"):
        fit_arrhenius([300.0, 400.0], [normal(1.0, 0.0), normal(2.0, 0.1)])
    with pytest.raises(DiffusionError, match="one estimate for each temperature"):
        fit_arrhenius([300.0], one * 2)


def test_a_record_comes_back(tmp_path: Path) -> None:
    fit = fit_arrhenius(HOT, points(0, HOT, line(HOT, 0.35), 0.1))
    fit.save(tmp_path / "fit.json")
    assert ArrheniusFit.load(tmp_path / "fit.json").to_dict() == fit.to_dict()
    assert ArrheniusFit.load(tmp_path / "fit.json").at(300.0) == fit.at(300.0)


def test_numbers_are_told_in_powers_of_ten() -> None:
    assert [in_powers(value) for value in (6.84e-9, 0.17, 250.0, 0.0)] == ["6.8 × 10⁻⁹", "0.17", "250", "0"]
