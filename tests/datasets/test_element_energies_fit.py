"""Element energies by least squares."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase.data import atomic_numbers

from torch_gptff.datasets import (
    AlignEnergies,
    element_energies,
    fit_element_energies,
    fit_element_energies_by_source,
    make_frame,
)
from torch_gptff.errors import LabelError, NoLabelsError
from torch_gptff.graph import CrystalData

TRUE = {3: -1.9, 8: -4.95, 26: -8.3, 15: -5.4}


def crystal(formula: dict[str, int], energy: float | None, source: str = "dft") -> CrystalData:
    numbers = [atomic_numbers[symbol] for symbol, count in formula.items() for _ in range(count)]
    positions = np.arange(3 * len(numbers)).reshape(-1, 3)
    cell = 4.0 * len(numbers) * np.eye(3)
    return make_frame(numbers, positions, cell, True, where="test", source=source, frame_id=str(formula), energy=energy)


def reference(formula: dict[str, int], table: dict[int, float] = TRUE) -> float:
    return sum(table[atomic_numbers[symbol]] * count for symbol, count in formula.items())


OXIDES = [
    {"Li": 2, "O": 1},
    {"Fe": 2, "O": 3},
    {"Fe": 3, "O": 4},
    {"P": 4, "O": 10},
    {"Li": 1, "Fe": 1, "P": 1, "O": 4},
    {"Li": 4, "P": 2, "O": 7},
    {"Fe": 2},
]


@pytest.fixture(autouse=True, params=[2, 4096], ids=["two rows at once", "all rows at once"])
def _rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(element_energies, "ROWS", request.param)


def test_sums_of_element_energies_are_found_exactly() -> None:
    fit = fit_element_energies([crystal(formula, reference(formula)) for formula in OXIDES])
    assert fit.energies == pytest.approx(TRUE, abs=1e-9)
    assert fit.undetermined == frozenset()
    assert fit.rmse < 1e-9
    assert fit.n_frames == len(OXIDES)


def test_it_is_the_least_squares_solution_per_atom() -> None:
    rng = np.random.default_rng(0)
    frames = [crystal(formula, reference(formula) + rng.normal()) for formula in OXIDES * 5]
    fit = fit_element_energies(frames)
    rows = np.array([[int((frame.z == number).sum()) / len(frame.z) for number in TRUE] for frame in frames])
    target = np.array([float(frame.energy) / len(frame.z) for frame in frames])
    expected, residual, *_ = np.linalg.lstsq(rows, target, rcond=None)
    assert [fit.energies[number] for number in TRUE] == pytest.approx(expected.tolist(), abs=1e-9)
    assert fit.rmse == pytest.approx((residual[0] / len(frames)) ** 0.5)


def test_elements_that_only_occur_together_are_named() -> None:
    """Fe and P as FeP alone: their sum is determined, each by itself is not; lithium's energy is."""
    formulas = [{"Fe": 1, "P": 1}, {"Fe": 2, "P": 2, "Li": 1}, {"Li": 2}]
    frames = [crystal(formula, reference(formula)) for formula in formulas]
    with pytest.warns(
        UserWarning,
        match=r"the energies do not determine the element energies of P, Fe one by one: the smallest solution",
    ):
        fit = fit_element_energies(frames)
    assert fit.undetermined == {15, 26}
    assert fit.energies[3] == pytest.approx(TRUE[3])
    assert fit.energies[15] + fit.energies[26] == pytest.approx(TRUE[15] + TRUE[26])
    assert fit.energies[15] == pytest.approx(fit.energies[26])  # the solution of least norm
    assert fit.rmse < 1e-9


def test_one_composition_alone() -> None:
    with pytest.warns(UserWarning, match=r"element energies of Li, O one by one"):
        fit = fit_element_energies([crystal({"Li": 2, "O": 1}, -8.0)] * 3)
    assert 2 * fit.energies[3] + fit.energies[8] == pytest.approx(-8.0)


def test_frames_of_unknown_energy_are_left_out() -> None:
    frames = [crystal(formula, reference(formula)) for formula in OXIDES]
    frames.append(crystal({"U": 1, "O": 2}, None))
    fit = fit_element_energies(frames)
    assert 92 not in fit.energies
    assert fit.n_frames == len(OXIDES)
    with pytest.raises(NoLabelsError, match=r"no frame has a known energy"):
        fit_element_energies([crystal({"Li": 1}, None)])


def test_sources_with_different_references_are_fitted_apart_and_aligned() -> None:
    shifted = {number: energy - number / 10 for number, energy in TRUE.items()}
    pbe = [crystal(formula, reference(formula), "pbe") for formula in OXIDES]
    scan = [crystal(formula, reference(formula, shifted), "scan") for formula in OXIDES]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fits = fit_element_energies_by_source([*pbe, *scan, crystal({"Li": 1}, None, "bare")])
    assert set(fits) == {"pbe", "scan"}
    assert fits["scan"].energies == pytest.approx(shifted, abs=1e-9)
    assert fit_element_energies([*pbe, *scan]).rmse > 0.1
    align = AlignEnergies({source: fit.energies for source, fit in fits.items()}, fits["pbe"].energies)
    for one, other in zip(pbe, scan, strict=True):
        torch.testing.assert_close(align(other).energy, align(one).energy)
        torch.testing.assert_close(align(one).energy, one.energy)
    with pytest.raises(LabelError, match=r"no element energies are given for the source 'r2scan'"):
        align(crystal({"Li": 1}, -1.0, "r2scan"))
    with pytest.raises(LabelError, match=r"an element has no energy in 'pbe' or in the reference"):
        align(crystal({"U": 1}, -1.0, "pbe"))


def test_they_belong_to_a_potential(make_atoms: Callable) -> None:
    from torch_gptff.nn import ElementEnergies

    fit = fit_element_energies([crystal(formula, reference(formula)) for formula in OXIDES])
    assert ElementEnergies(fit.energies)(torch.tensor([3, 26])).tolist() == pytest.approx([TRUE[3], TRUE[26]])
